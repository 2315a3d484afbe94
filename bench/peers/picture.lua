-- Draws bars on a logarithmic scale as SVG: one panel for each column of the table, one bar for each row. Colours
-- follow the reader's light or dark theme; the background is transparent.
local WIDTH <const>, LABELS <const>, VALUES <const> = 720, 130, 80
local BAR <const>, GAP <const>, TITLE <const> = 16, 5, 30

local STYLE <const> = [[
<style>
  text { fill: #1f2328 }
  .none { fill: #6e7781 }
  .grid { stroke: #d0d7de }
  .ours { fill: #0969da }
  .other { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .none { fill: #8d96a0 }
    .grid { stroke: #3d444d }
    .ours { fill: #4493f8 }
    .other { fill: #656c76 }
  }
</style>]]

local function log10(x) return math.log(x, 10) end

-- Returns the exponents of the powers of ten around a column's values.
local function decades(names, rows, column)
  local low, high = math.huge, -math.huge
  for _, name in ipairs(names) do
    local cell = rows[name][column]
    if cell and cell[1] > 0 then
      low = math.min(low, math.floor(log10(cell[1]) - 0.1))
      high = math.max(high, math.ceil(log10(cell[1])))
    end
  end
  return low, high
end

-- Returns the names of the rows that have a value in the column.
local function present(names, rows, column)
  local list = {}
  for _, name in ipairs(names) do
    if rows[name][column] then list[#list + 1] = name end
  end
  return list
end

-- Returns a panel { names of rows, rows, column } for each column that is drawn; lkrun is the first row.
local function panels_of(groups)
  local panels = {}
  for _, group in ipairs(groups) do
    for _, column in ipairs(group.columns) do
      if column.drawn then panels[#panels + 1] = { group.names, group.rows, column } end
    end
  end
  return panels
end

---@param groups table[] of rows: title, names, columns, rows[name][column] = { median }
---@return string svg
return function(groups)
  local out, top = {}, 0
  local function add(format, ...) out[#out + 1] = format:format(...) end
  for _, one in ipairs(panels_of(groups)) do
    local names, rows, column = table.unpack(one)
    local shown = present(names, rows, column)
    local panel = TITLE + #shown * (BAR + GAP) + GAP
    local low, high = decades(shown, rows, column)
    local room = WIDTH - LABELS - VALUES
    local function x_of(value) return LABELS + (log10(value) - low) / (high - low) * room end
    add('<text x="8" y="%d" font-weight="bold">%s (log scale, %s is better)</text>', top + 20, column.title,
      column.more_is_better and "longer" or "shorter")
    for decade = low, high do
      local x = x_of(10.0 ^ decade)
      add('<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>', x, top + TITLE, x, top + panel - GAP)
    end
    for i, name in ipairs(shown) do
      local y = top + TITLE + (i - 1) * (BAR + GAP)
      local value = rows[name][column][1]
      add('<text x="%d" y="%d" text-anchor="end">%s</text>', LABELS - 8, y + 12, name)
      if value > 0 then
        local x = x_of(value)
        add('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>', name == names[1] and "ours" or "other",
          LABELS, y, x - LABELS, BAR)
        add('<text x="%.1f" y="%d">%.3g</text>', x + 6, y + 12, value)
      else
        add('<text class="none" x="%d" y="%d">none</text>', LABELS + 6, y + 12)
      end
    end
    top = top + panel
  end
  local head = ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" ' ..
    'font-family="sans-serif" font-size="12">\n'):format(WIDTH, top + 8, WIDTH, top + 8)
  return head .. STYLE .. "\n" .. table.concat(out, "\n") .. "\n</svg>\n"
end

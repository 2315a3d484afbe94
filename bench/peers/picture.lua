-- Bars on a logarithmic scale as SVG: one panel a column, one bar a pool; shorter is better.
local WIDTH <const>, LABELS <const>, VALUES <const> = 720, 130, 80
local BAR <const>, GAP <const>, TITLE <const> = 16, 5, 30

local function log10(x) return math.log(x, 10) end

-- The whole decades around a column's values.
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

---@param names string[] pools, the first one is ours
---@param rows table<string, table<table, number[]>> rows[pool][column] = { median }
---@param columns table[] with a title
---@return string svg
return function(names, rows, columns)
  local panel = TITLE + #names * (BAR + GAP) + GAP
  local out = {}
  local function add(format, ...) out[#out + 1] = format:format(...) end
  local height = #columns * panel + 8
  add('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" ' ..
    'font-family="sans-serif" font-size="12">', WIDTH, height, WIDTH, height)
  add('<rect width="%d" height="%d" fill="white"/>', WIDTH, height)
  for p, column in ipairs(columns) do
    local top = (p - 1) * panel
    local low, high = decades(names, rows, column)
    local room = WIDTH - LABELS - VALUES
    local function x_of(value) return LABELS + (log10(value) - low) / (high - low) * room end
    add('<text x="8" y="%d" font-weight="bold">%s (log scale, shorter is better)</text>', top + 20, column.title)
    for decade = low, high do
      local x = x_of(10 ^ decade)
      add('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/>', x, top + TITLE, x, top + panel - GAP)
    end
    for i, name in ipairs(names) do
      local y = top + TITLE + (i - 1) * (BAR + GAP)
      local cell = rows[name][column]
      add('<text x="%d" y="%d" text-anchor="end">%s</text>', LABELS - 8, y + 12, name)
      if cell and cell[1] > 0 then
        local x = x_of(cell[1])
        add('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>', LABELS, y, x - LABELS, BAR,
          i == 1 and "#2060a0" or "#a0a0a0")
        add('<text x="%.1f" y="%d">%.3g</text>', x + 6, y + 12, cell[1])
      else
        add('<text x="%d" y="%d" fill="#808080">no result</text>', LABELS + 6, y + 12)
      end
    end
  end
  add "</svg>"
  return table.concat(out, "\n") .. "\n"
end

-- Draws curves over one quantity as SVG: one panel for each column, each with an axis from zero.
local WIDTH <const>, LEFT <const>, RIGHT <const> = 720, 60, 16
local PANEL <const>, TITLE <const>, FOOT <const> = 120, 28, 30

-- Returns the smallest of 1, 2, 5, 10, 20, … that is not below the value.
local function round_up(value)
  local scale = 10 ^ math.floor(math.log(math.max(value, 1), 10))
  for _, factor in ipairs { 1, 2, 5, 10 } do
    if factor * scale >= value then return factor * scale end
  end
end

---@param rows table[] the measurements, in order
---@param over string the field that the curves run over
---@param columns table[] { field, title }
---@return string svg
return function(rows, over, columns)
  local out = {}
  local function add(format, ...) out[#out + 1] = format:format(...) end
  local height = #columns * PANEL + FOOT
  local last = rows[#rows][over]
  add('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" ' ..
    'font-family="sans-serif" font-size="12">', WIDTH, height, WIDTH, height)
  add('<rect width="%d" height="%d" fill="white"/>', WIDTH, height)
  for p, column in ipairs(columns) do
    local field, title = column[1], column[2]
    local top, bottom = (p - 1) * PANEL + TITLE, p * PANEL
    local most = 0
    for _, row in ipairs(rows) do most = math.max(most, row[field]) end
    most = round_up(most)
    add('<text x="8" y="%d" font-weight="bold">%s</text>', top - 10, title)
    for _, part in ipairs { 0, 0.5, 1 } do
      local y = bottom - part * (bottom - top)
      add('<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#dddddd"/>', LEFT, y, WIDTH - RIGHT, y)
      add('<text x="%d" y="%.1f" text-anchor="end">%g</text>', LEFT - 6, y + 4, part * most)
    end
    local points = {}
    for i, row in ipairs(rows) do
      points[i] = ("%.1f,%.1f"):format(LEFT + row[over] / last * (WIDTH - LEFT - RIGHT),
        bottom - row[field] / most * (bottom - top))
    end
    add('<polyline points="%s" fill="none" stroke="#2060a0" stroke-width="1.5"/>', table.concat(points, " "))
  end
  for part = 0, 4 do
    local x = LEFT + part / 4 * (WIDTH - LEFT - RIGHT) - 10 * part // 4
    add('<text x="%.1f" y="%d" text-anchor="middle">%s</text>', x,
      height - 10, part == 0 and "0" or ("%.3g"):format(part / 4 * last) .. (part == 4 and " " .. over or ""))
  end
  add "</svg>"
  return table.concat(out, "\n") .. "\n"
end

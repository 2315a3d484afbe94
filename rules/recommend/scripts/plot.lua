-- Draws the metrics as SVG: a group of bars for each metric, a bar for each model.
local metrics = require "lkrec.metrics"
local results = require "results"(snakemake.input, snakemake.params.models)

local WIDTH, HEIGHT = 960, 420
local LEFT, RIGHT, TOP, BOTTOM = 50, 20, 50, 50 -- margins
local COLOURS = { "#3b6fb6", "#e08a2e", "#4c9f70", "#b5534f", "#7d67a9", "#8c7458", "#d17cb0", "#6f7782" }
local FONT = 'font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#333"'

local lines = {}
local function add(...) lines[#lines + 1] = string.format(...) end

local function escaped(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function text(x, y, anchor, value)
  add('<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>', x, y, anchor, FONT, escaped(value))
end

-- The axis ends at the next tenth above the highest bar; all metrics are from 0 to 1.
local highest = 0
for _, result in ipairs(results) do
  for _, metric in ipairs(metrics.names) do
    local mean = result.means[metric]
    if mean == mean then highest = math.max(highest, mean) end
  end
end
local top = math.max(0.1, math.ceil(highest * 10) / 10)
local function y_of(value) return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top) end

add('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">',
  WIDTH, HEIGHT, WIDTH, HEIGHT)
add('<title>Metrics of each model</title>\n<rect width="%d" height="%d" fill="white"/>', WIDTH, HEIGHT)

for tenth = 0, math.floor(top * 10 + 0.5) do
  local value = tenth / 10
  add('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>', LEFT, WIDTH - RIGHT, y_of(value), y_of(value))
  text(LEFT - 6, y_of(value) + 4, "end", ("%.1f"):format(value))
end

local group = (WIDTH - LEFT - RIGHT) / #metrics.names
local bar = group * 0.8 / #results
for at, metric in ipairs(metrics.names) do
  local left = LEFT + (at - 1) * group + group * 0.1
  for i, result in ipairs(results) do
    local mean = result.means[metric]
    if mean == mean then
      add('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s, %s: %.4f</title></rect>',
        left + (i - 1) * bar, y_of(mean), bar * 0.92, y_of(0) - y_of(mean), COLOURS[(i - 1) % #COLOURS + 1],
        escaped(result.name), metric, mean)
    end
  end
  text(left + group * 0.4, HEIGHT - BOTTOM + 20, "middle", (metric:gsub("_", " ")))
end

local x = LEFT
for i, result in ipairs(results) do
  add('<rect x="%.1f" y="%d" width="12" height="12" fill="%s"/>', x, TOP - 32, COLOURS[(i - 1) % #COLOURS + 1])
  text(x + 18, TOP - 21, "start", result.name)
  x = x + 36 + 7 * utf8.len(result.name, 1, -1, true)
end
add "</svg>"

local file <close> = assert(io.open(snakemake.output[1], "w"))
assert(file:write(table.concat(lines, "\n"), "\n"))

-- Helpers to measure. Things that are compared are measured alternately in one run, so that noise affects all equally.
local measure = {}

--- Whether a figure was asked for by a name such as `first` or `big.memory`; without a name all figures are wanted.
function measure.is_wanted(name)
  local wanted = measure.wanted
  return not wanted or wanted == name or name:sub(1, #wanted + 1) == wanted .. "."
end

--- Returns a number from the environment, which also has the variables of `make bench NAME=value`.
---@param name string
---@param default integer
---@return integer
function measure.option(name, default)
  local text = os.getenv(name)
  if not text or text == "" then return default end
  local value = math.tointeger(tonumber(text))
  if not value or value < 1 then
    error(("bench: %s is '%s'; expected a whole number of at least 1"):format(name, text), 0)
  end
  return value
end

--- Returns the quantile `part` of the samples (0.5: the median), interpolated linearly.
function measure.quantile(samples, part)
  local sorted = table.move(samples, 1, #samples, 1, {})
  table.sort(sorted)
  local at = 1 + (#sorted - 1) * part
  local low = sorted[math.floor(at)]
  return low + (sorted[math.ceil(at)] - low) * (at - math.floor(at))
end

--- Runs each function once in each round, one after the other.
---@param count integer rounds
---@param functions table<string, fun(): number>
---@return table<string, number[]> samples
function measure.rounds(count, functions)
  local names, samples = {}, {}
  for name in pairs(functions) do
    names[#names + 1], samples[name] = name, {}
  end
  table.sort(names)
  for round = 1, count do
    for _, name in ipairs(names) do samples[name][round] = functions[name]() end
  end
  return samples
end

--- Element by element: f(a[i], b[i]).
function measure.each(a, b, f)
  local result = {}
  for i = 1, #a do result[i] = f(a[i], b[i]) end
  return result
end

function measure.ratio(a, b)
  return measure.each(a, b, function(x, y) return x / y end)
end

function measure.scaled(samples, factor)
  return measure.each(samples, samples, function(x) return x * factor end)
end

--- Prints `name=median`, the quartiles, the number of runs, and the goal.
---@param name string figure and unit
---@param samples number[]
---@param goal? string "<= 4" or ">= 0.98"
function measure.report(name, samples, goal)
  local median = measure.quantile(samples, 0.5)
  local line = ("%s=%.4g low=%.4g high=%.4g runs=%d"):format(name, median, measure.quantile(samples, 0.25),
    measure.quantile(samples, 0.75), #samples)
  if goal then
    local relation, bound = goal:match "^([<>]=) (%S+)$"
    local is_limit = relation == "<="
    bound = tonumber(bound)
    local reached = is_limit and median <= bound or not is_limit and median >= bound
    line = ("%s %s=%g reached=%s"):format(line, is_limit and "at_most" or "at_least", bound, reached and "yes" or "no")
  end
  print(line)
  io.flush()
end

--- An iterator over 1 … n.
function measure.integers(n)
  local i = 0
  return function()
    i = i + 1
    if i <= n then return i end
  end
end

return measure

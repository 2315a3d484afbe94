--- The options of functions: which there are, what each may be, and their defaults. lkrec, which otherwise
--- stands on the public interface alone, shares this module and lkrun.internal.fail. The messages are in
--- lkrun.internal.refusals.
local options = {}

--- What one option may be. `least`, `most`, `above` and `below` bound a number.
---@class lkrun.OptionRule
---@field default? any of an option that is not given; nil: it stays absent
---@field required? boolean it has to be given
---@field type? "string"|"boolean"|"table"|"number"
---@field integer? boolean a float without a fraction becomes one
---@field least? number
---@field most? number only together with `least`
---@field above? number
---@field below? number only together with `above`
---@field choices? string[] one of these strings
---@field fits? fun(value: any): boolean whether the value will do, where nothing above says it
---@field any? boolean the value is checked where it is used
---@field expected? string in messages: what the value should be, where the other fields do not say it well

-- The messages are loaded when one is needed: a program whose options are right does not pay for them.
local function refusals() return require "lkrun.internal.refusals" end

-- The number itself where it is finite and within the rule's bounds; nil otherwise.
local function number_within(rule, value)
  if type(value) ~= "number" then return nil end
  if rule.integer then value = math.tointeger(value) end
  if not value or value ~= value or value >= math.huge or value <= -math.huge then return nil end
  if rule.least and value < rule.least or rule.most and value > rule.most then return nil end
  if rule.above and value <= rule.above or rule.below and value >= rule.below then return nil end
  return value
end

-- The value to use; nil where the rule does not allow this one.
local function accepted(rule, value)
  if rule.any then return value end
  if rule.fits then
    if rule.fits(value) then return value end
  elseif rule.type then
    if type(value) == rule.type then return value end
  elseif rule.choices then
    for _, choice in ipairs(rule.choices) do
      if value == choice then return value end
    end
  else
    return number_within(rule, value)
  end
end

--- Checks a table of options and fills in the defaults. Raises for what is no table, for an option that is
--- unknown or missing, and for a value that its rule does not allow.
---@param where string the function whose options they are, for messages
---@param rules table<string, lkrun.OptionRule>
---@param given table? what the caller passed
---@return table # a new one
function options.check(where, rules, given)
  if given ~= nil and type(given) ~= "table" then
    refusals().no_table(where, given)
  end
  local checked = {}
  for name, value in pairs(given or {}) do
    local rule = rules[name]
    if not rule then refusals().unknown(where, name, rules) end
    local good = accepted(rule, value)
    if good == nil then refusals().misfit(where, name, rule, value) end
    checked[name] = good
  end
  for name, rule in pairs(rules) do
    if checked[name] == nil then
      if rule.required then refusals().missing(where, name, rule) end
      checked[name] = rule.default
    end
  end
  return checked
end

--- The check of one function's options: `check(given)`.
---@param where string
---@param rules table<string, lkrun.OptionRule>
---@return fun(given: table?): table
function options.checker(where, rules)
  return function(given) return options.check(where, rules, given) end
end

return options

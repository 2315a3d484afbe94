--- The options of functions: which there are, what each may be, and their defaults. lkrec, which otherwise
--- stands on the public interface alone, shares this module and lkrun.internal.fail.
local fail = require "lkrun.internal.fail"
local nearest = require "lkrun.core.nearest"
local value_text = require "lkrun.core.value_text"

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

-- "'a'", "'a' or 'b'", "'a', 'b' or 'c'"
local function alternatives(choices)
  local last = ("'%s'"):format(choices[#choices])
  if #choices == 1 then return last end
  return ("'%s' or %s"):format(table.concat(choices, "', '", 1, #choices - 1), last)
end

local function expectation(rule)
  if rule.expected then return rule.expected end
  if rule.choices then return alternatives(rule.choices) end
  if rule.type then return "a " .. rule.type end
  local noun = rule.integer and "an integer" or "a number"
  if rule.below then return ("%s between %s and %s"):format(noun, rule.above, rule.below) end
  if rule.above then return ("%s above %s"):format(noun, rule.above) end
  if rule.most then return ("%s from %s to %s"):format(noun, rule.least, rule.most) end
  return rule.least and ("%s of %s or more"):format(noun, rule.least) or noun
end

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

--- " (did you mean 'n_jobs'?)", or "" where no name is near.
---@param word any a key that is none of the names
---@param known table<string, any> what there is, by name
---@return string
function options.question(word, known)
  local meant = type(word) == "string" and nearest(word, known)
  return meant and (" (did you mean '%s'?)"):format(meant) or ""
end

local function fail_unknown(where, name, rules)
  local names = {}
  for key in pairs(rules) do names[#names + 1] = key end
  table.sort(names)
  local shown = type(name) == "string" and ("'%s'"):format(name) or ("[%s]"):format(value_text.brief(name))
  fail(where, "unknown option %s%s; there are %s", shown, options.question(name, rules),
    #names > 0 and table.concat(names, ", ") or "none")
end

--- Checks a table of options and fills in the defaults. Raises for what is no table, for an option that is
--- unknown or missing, and for a value that its rule does not allow.
---@param where string the function whose options they are, for messages
---@param rules table<string, lkrun.OptionRule>
---@param given table? what the caller passed
---@return table # a new one
function options.check(where, rules, given)
  if given ~= nil and type(given) ~= "table" then
    fail(where, "the options are %s; expected a table", value_text.type(given))
  end
  local checked = {}
  for name, value in pairs(given or {}) do
    local rule = rules[name]
    if not rule then fail_unknown(where, name, rules) end
    local good = accepted(rule, value)
    if good == nil then
      fail(where, "%s is %s; expected %s", name, value_text.brief(value), expectation(rule))
    end
    checked[name] = good
  end
  for name, rule in pairs(rules) do
    if checked[name] == nil then
      if rule.required then fail(where, "%s is missing; expected %s", name, expectation(rule)) end
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

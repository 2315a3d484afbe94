--- Options of lkrec's functions: their names, their defaults, and what they may be.
local option_names = require "lkrec.option_names"

---@class lkrec.OptionRule
---@field default any # nil: the option may be absent
---@field least? number # the least value of a number
---@field above? number # a number has to be greater
---@field integer? boolean
---@field choices? string[] # the values of a string
---@field any? boolean # checked elsewhere

local function expectation(rule)
  if rule.choices then return "one of " .. table.concat(rule.choices, ", ") end
  local noun = rule.integer and "an integer" or "a number"
  if rule.above then return ("%s above %s"):format(noun, rule.above) end
  return ("%s of at least %s"):format(noun, rule.least)
end

local function fits(rule, value)
  if rule.any then return true end
  if rule.choices then
    for _, choice in ipairs(rule.choices) do
      if value == choice then return true end
    end
    return false
  end
  if type(value) ~= "number" or rule.integer and math.type(value) ~= "integer" then return false end
  if rule.above then return value > rule.above and value < math.huge end
  return value >= rule.least and value < math.huge
end

--- Makes a function that checks a table of options and fills in the defaults.
---@param where string # the function whose options they are, for messages
---@param rules table<string, lkrec.OptionRule>
---@return fun(options: table?): table
-- The function raises for what is no table, an unknown option or one out of range.
local function options_of(where, rules)
  return function(options)
    if options ~= nil and type(options) ~= "table" then
      error(("lkrun: %s: the options are a %s; expected a table"):format(where, type(options)), 0)
    end
    local result = {}
    for name, value in pairs(options or {}) do
      local rule = rules[name]
      if not rule then
        local told = type(name) == "string" and name or type(name) == "number" and tostring(name) or "a " .. type(name)
        error(("lkrun: %s: unknown option '%s'; there are %s"):format(where, told, option_names(rules)), 0)
      end
      if not fits(rule, value) then
        local found = type(value) == "table" and "a table" or tostring(value)
        error(("lkrun: %s: %s is %s; expected %s"):format(where, name, found, expectation(rule)), 0)
      end
      result[name] = value
    end
    for name, rule in pairs(rules) do
      if result[name] == nil then result[name] = rule.default end
    end
    return result
  end
end

return options_of

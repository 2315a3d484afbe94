--- What is said of options that a function refuses.
local fail = require "lkrun.internal.fail"
local nearest = require "lkrun.core.nearest"
local value_text = require "lkrun.core.value_text"

local refusals = {}

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

--- " (did you mean 'n_jobs'?)", or "" where no name is near.
---@param word any a key that is none of the names
---@param known table<string, any> what there is, by name
---@return string
function refusals.question(word, known)
  local meant = type(word) == "string" and nearest(word, known)
  return meant and (" (did you mean '%s'?)"):format(meant) or ""
end

--- Raises for an option that the function does not have.
---@param where string
---@param name any
---@param rules table<string, lkrun.OptionRule>
function refusals.unknown(where, name, rules)
  local names = {}
  for key in pairs(rules) do names[#names + 1] = key end
  table.sort(names)
  local shown = type(name) == "string" and ("'%s'"):format(name) or ("[%s]"):format(value_text.brief(name))
  fail(where, "unknown option %s%s; there are %s", shown, refusals.question(name, rules),
    #names > 0 and table.concat(names, ", ") or "none")
end

--- Raises for options that are not a table.
---@param where string
---@param given any
function refusals.no_table(where, given)
  fail(where, "the options are %s; expected a table", value_text.type(given))
end

--- Raises for a value that the rule of its option does not allow.
---@param where string
---@param name string
---@param rule lkrun.OptionRule
---@param value any
function refusals.misfit(where, name, rule, value)
  fail(where, "%s is %s; expected %s", name, value_text.brief(value), expectation(rule))
end

--- Raises for an option that has to be given and is not.
---@param where string
---@param name string
---@param rule lkrun.OptionRule
function refusals.missing(where, name, rule)
  fail(where, "%s is missing; expected %s", name, expectation(rule))
end

return refusals

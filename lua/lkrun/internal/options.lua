--- What is said of an option that a function does not have.
local nearest = require "lkrun.core.nearest"

--- " (did you mean 'n_jobs'?)", or "" where no name is near.
---@param word any a key that is none of the names
---@param known table<string, any> what there is, by name
---@return string
local function question(word, known)
  local meant = type(word) == "string" and nearest(word, known)
  return meant and (" (did you mean '%s'?)"):format(meant) or ""
end

--- "unknown option 'n_job' (did you mean 'n_jobs'?); there are n_jobs, ordered"
---@param name any the key in the table of options
---@param known table<string, any> the options that there are, by name
---@return string
local function unknown(name, known)
  local names = {}
  for key in pairs(known) do names[#names + 1] = key end
  table.sort(names)
  local there = "; there are " .. (#names > 0 and table.concat(names, ", ") or "none")
  if type(name) ~= "string" then
    return ("unknown option [%s]%s"):format(type(name) == "number" and name or "a " .. type(name), there)
  end
  return ("unknown option '%s'%s%s"):format(name, question(name, known), there)
end

return { unknown = unknown, question = question }

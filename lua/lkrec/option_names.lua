--- The names of options as text, in order: "above, least", or "none".
---@param known table<string, any>
---@return string
return function(known)
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  return #names > 0 and table.concat(names, ", ") or "none"
end

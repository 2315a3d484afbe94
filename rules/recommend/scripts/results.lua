-- The means that rule evaluate wrote: an element { name =, means = {metric → mean} } for each model.
local lk = require "lkrun"

return function(paths, names)
  local results = {}
  for i, path in ipairs(paths) do
    local file <close> = assert(io.open(path))
    results[i] = { name = names[i], means = lk.json.decode(file:read "a") }
  end
  return results
end

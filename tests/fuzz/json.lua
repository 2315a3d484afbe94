-- JSON texts.
local json = require "lkrun.json"

return function(path)
  local file <close> = assert(io.open(path, "rb"))
  local ok, value = pcall(json.decode, file:read "a")
  if not ok then
    if type(value) ~= "string" or not value:find "^lkrun: lk.json.decode: " then error(value, 0) end
    return
  end
  -- An empty object comes back as an empty array, so the first text is not the one to compare with.
  local once = json.encode(value)
  local twice = json.encode(json.decode(once))
  if once ~= twice then error("encoded again it is another: " .. twice, 0) end
end

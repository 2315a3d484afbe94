-- .npy files, mapped and copied.
local npy = require "lkrun.core.npy"
local files = dofile "tests/fuzz/files.lua"

return function(path)
  local ok, t = pcall(npy.load, path, false)
  if not files.check(path, ok, t) then return end
  local copy = npy.load(path, true)
  if tostring(copy) ~= tostring(t) then error("mapped it is another", 0) end
  files.round_trip(t, npy.save, npy.load)
end

-- .safetensors files, mapped and copied.
local core = require "lkrun.core.safetensors"
local safetensors = require "lkrun.internal.safetensors"
local files = dofile "tests/fuzz/files.lua"

local function save(path, model) core.save(path, safetensors.encode(path, model[1], model[2])) end
local function load(path) return { core.load(path) } end

return function(path)
  local ok, t, metadata = pcall(core.load, path)
  if not files.check(path, ok, t) then return end
  core.load(path, nil, true)
  for name in pairs(t) do core.load(path, name, false) end
  files.round_trip({ t, metadata }, save, load)
end

-- The manifest of a bundle, in an archive that is fine.
local archives = dofile "tests/support/archives.lua"
local archive = require "lkrun.core.archive"
local files = dofile "tests/fuzz/files.lua"
require "lkrun.tensor"
require "lkrun.sparse"

local path = "/dev/shm/lkrun-fuzz-manifest-" .. tostring(files):match "0x%x+"

local function save(to, model) archive.save_bundle(to, model, "zip") end

local arrays = {
  { name = "a.npy", data = archives.npy() },
  { name = "p.npy", data = archives.npy { descr = "<i8", shape = "(2,)", data = string.pack("<i8i8", 0, 1) } },
  { name = "c.npy", data = archives.npy { descr = "<i4", shape = "(1,)", data = string.pack("<i4", 1) } },
  { name = "v.npy", data = archives.npy { shape = "(1,)", data = string.pack("<d", 1) } },
}

return function(input)
  local text
  do
    local file <close> = assert(io.open(input, "rb"))
    text = file:read "a"
  end
  local file <close> = assert(io.open(path, "wb"))
  local manifest = '{"format":"lkrun bundle","version":1,"model":' .. text .. "}"
  file:write(archives.zip { { name = "manifest.json", data = manifest }, table.unpack(arrays) }):close()
  local ok, model = pcall(archive.load_bundle, path)
  os.remove(path)
  if files.check(path, ok, model) then files.round_trip(model, save, archive.load_bundle) end
end

-- Bundles, in every kind of archive.
local archive = require "lkrun.core.archive"
local files = dofile "tests/fuzz/files.lua"
require "lkrun.tensor"
require "lkrun.sparse"

local LIMIT <const> = 1 << 22

local function save(path, model) archive.save_bundle(path, model, "zip") end

return function(path)
  local ok, model = pcall(archive.load_bundle, path, nil, false, LIMIT)
  if not files.check(path, ok, model) then return end
  files.round_trip(model, save, archive.load_bundle)
end

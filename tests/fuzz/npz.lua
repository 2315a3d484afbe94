-- .npz files: NumPy's and SciPy's, stored and deflated.
local archive = require "lkrun.core.archive"
local npz = require "lkrun.internal.npz"
local sparse = require "lkrun.sparse"
local files = dofile "tests/fuzz/files.lua"
require "lkrun.tensor"

local LIMIT <const> = 1 << 22

local function save(path, model)
  if sparse.is(model) then archive.save_scipy(path, model) else archive.save_npz(path, npz.encode(path, model)) end
end

return function(path)
  local ok, model = pcall(archive.load_npz, path, nil, false, LIMIT)
  if not files.check(path, ok, model) then return end
  archive.load_npz(path, nil, true, LIMIT)
  files.round_trip(model, save, archive.load_npz)
end

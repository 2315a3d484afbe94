-- Models exchanged with NumPy, SciPy and safetensors, over random names, dtypes, shapes and orders.
local lk = require "lkrun"
local new_folder = require "tests.support.folder"
local python = require "tests.support.python"

describe("NumPy, SciPy, safetensors and lkrun", function()
  if not python.has "numpy, scipy, safetensors" then
    pending "read each other's files (no Python with them at LKRUN_PYTHON)"
    return
  end

  local folder
  before_each(function() folder = new_folder() end)
  after_each(function() folder:remove() end)

  local function exchange(...) return python.run("tests/interop/exchange.py", ...) end

  local COUNT <const> = 40
  for seed = 1, 3 do
    it("read each other's files, seed " .. seed, function()
      exchange("generate", folder.name, seed, COUNT)
      for i = 0, COUNT - 1 do
        local path = folder:path(i)
        for _, kind in ipairs { "npz", "safetensors" } do
          local model, metadata = lk.load(("%s.%s"):format(path, kind), { copy = i % 3 == 0 })
          if kind == "safetensors" then
            assert.same(i % 10 ~= 0 and i % 2 == 1 and { seed = tostring(seed) } or {}, metadata)
          end
          for name, t in pairs(model) do
            local one = lk.load(("%s.%s"):format(path, kind), { name = name })
            assert.same(t:size(), one:size())
          end
          lk.save(("%s.%s.out.npz"):format(path, kind), model, { compress = i % 2 == 0 })
          lk.save(("%s.%s.out.safetensors"):format(path, kind), model)
          lk.save(("%s.%s.out.lkz"):format(path, kind), model)
        end
        lk.save(path .. ".sparse.out.npz", lk.load(path .. ".sparse.npz"))
      end
      exchange("compare", folder.name, COUNT)
    end)
  end
end)

-- Means, variances and standard deviations beside NumPy's, over random dtypes, shapes and layouts.
local lk = require "lkrun"
local new_folder = require "tests.support.folder"
local python = require "tests.support.python"

describe("mean, var and std", function()
  if not python.has "numpy" then
    pending "are NumPy's (no Python with NumPy at LKRUN_PYTHON)"
    return
  end

  local folder
  before_each(function() folder = new_folder() end)
  after_each(function() folder:remove() end)

  local function moments_py(...) return python.run("tests/interop/moments.py", ...) end

  it("are NumPy's, of all elements and along every dimension, whatever ddof is", function()
    moments_py("generate", folder.name, 1, 60)
    local saved = 0
    for line in io.lines(folder:path "manifest.txt") do
      local index, dims = line:match "^(%d+) (%d+)$"
      local t = lk.load(folder:path(index .. ".npy"))
      if tonumber(dims) > 1 then -- another layout of the same elements
        t = t:transpose(1, 2):contiguous():transpose(1, 2)
      end
      for d = 0, tonumber(dims) do
        for ddof = 0, 2 do
          for _, operation in ipairs { "mean", "var", "std" } do
            local value = t[operation](t, d > 0 and d or nil, operation ~= "mean" and ddof or nil)
            if type(value) == "number" then value = lk.tensor.from(value) end
            lk.save(folder:path(("%s.%s.%d.%d.npy"):format(index, operation, d, ddof)), value)
            saved = saved + 1
          end
        end
      end
    end
    assert.is_true(saved > 500)
    assert.equal(saved, tonumber((moments_py("compare", folder.name))))
  end)
end)

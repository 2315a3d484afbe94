-- .npy files exchanged with NumPy itself, over random dtypes, shapes, versions, byte and memory orders.
local lk = require "lkrun"
local new_folder = require "tests.support.folder"
local python = require "tests.support.python"

describe("NumPy and lkrun", function()
  if not python.has "numpy" then
    pending "read each other's .npy files (no Python with NumPy at LKRUN_PYTHON)"
    return
  end

  local folder
  before_each(function() folder = new_folder() end)
  after_each(function() folder:remove() end)

  local function npy_py(...) return python.run("tests/interop/npy.py", ...) end

  for seed = 1, 3 do
    it("read each other's .npy files, seed " .. seed, function()
      npy_py("generate", folder.name, seed, 100)
      local arrays, refused = 0, 0
      for line in io.lines(folder:path "manifest.txt") do
        local kind, index, name, rest = line:match "^(%a+) (%d+) (%S+) ?(.*)$"
        if kind == "array" then
          local size = {}
          for n in rest:gmatch "%d+" do size[#size + 1] = math.tointeger(n) end
          local t = lk.load(folder:path(index .. ".npy"))
          assert.equal(name, t.dtype)
          assert.same(size, t:size())
          lk.save(folder:path(index .. ".out.npy"), t)
          if size[1] and size[1] > 1 then
            lk.save(folder:path(index .. ".rows.npy"), t:narrow(1, 2, size[1] - 1))
          end
          arrays = arrays + 1
        else
          local ok, message = pcall(lk.load, folder:path("refused-" .. index .. ".npy"))
          assert.is_false(ok)
          assert.is_truthy(message:find("its dtype is " .. name, 1, true), message)
          refused = refused + 1
        end
      end
      assert.equal(100, arrays)
      assert.equal(13, refused)
      npy_py("compare", folder.name)
    end)
  end
end)

-- The files and functions that ARCHITECTURE.md names exist, and so do those in the list of pool_state.h.
local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

local function exists(path)
  return os.rename(path, path) ~= nil
end

local map = read "ARCHITECTURE.md"

describe("ARCHITECTURE.md", function()
  it("names files and folders that are there", function()
    local count = 0
    for path in map:gmatch "[%w_%-./]*[%w_%-]/[%w_%-.]*" do
      path = path:gsub("%.$", "")
      if not path:find "NAME" and not path:find "^build/" then
        count = count + 1
        assert.is_true(exists(path) or exists("lkrun/" .. path), path .. " is not there")
      end
    end
    assert.is_true(count > 60)
  end)

  it("names functions that are in the files named with them", function()
    local count = 0
    for name, path in map:gmatch "`([%l_]+)` [oi][fn] `([%w_/]+%.[ch])`" do
      count = count + 1
      assert.is_truthy(read("lkrun/" .. path):find("%f[%w_]" .. name .. "%f[^%w_]"), name .. " is not in " .. path)
    end
    assert.is_true(count > 3)
  end)
end)

describe("the list of files in pool_state.h", function()
  it("has every file of the folder", function()
    local text = read "lkrun/pool/pool_state.h"
    local pipe = io.popen "ls lkrun/pool/*.c"
    for path in pipe:lines() do
      local name = path:match "([%w_]+)%.c$"
      assert.is_truthy(text:find("\n %*   " .. name .. " "), name .. " is not in the list")
    end
    pipe:close()
  end)
end)

-- Pages name files of the repository, and the map of the project folders and functions, too: these exist.

local files = require "tests.support.files"
local contents, exists = files.contents, files.exists

-- Paths begin at the top of the repository, or, for the core, in lkrun/. Those that begin with another folder belong
-- to the reader or to an installation; those with capitals are patterns such as bench/NAME.lua.
local function is_of_the_repository(name)
  local folder = name:match "^[^/]+"
  return folder ~= nil and folder ~= "build" and (exists(folder) or exists("lkrun/" .. folder))
end

describe("The pages", function()
  it("name files of the repository that exist", function()
    local checked = 0
    local pages <close> = io.popen "ls -d *.md docs/*.md lkrun/*.md 2>/dev/null"
    for page in pages:lines() do
      for name in contents(page):gmatch "`([%l%d_.-][%l%d_./-]*/[%l%d_-]+%.%l+)`" do
        if is_of_the_repository(name) then
          assert.truthy(exists(name) or exists("lkrun/" .. name), ("%s names %s"):format(page, name))
          checked = checked + 1
        end
      end
    end
    assert.is_true(checked > 50)
  end)
end)

local map = contents "ARCHITECTURE.md"

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
      assert.is_truthy(contents("lkrun/" .. path):find("%f[%w_]" .. name .. "%f[^%w_]"), name .. " is not in " .. path)
    end
    assert.is_true(count > 3)
  end)
end)

describe("the list of files in pool_state.h", function()
  it("has every file of the folder", function()
    local text = contents "lkrun/pool/pool_state.h"
    local pipe = io.popen "ls lkrun/pool/*.c"
    for path in pipe:lines() do
      local name = path:match "([%w_]+)%.c$"
      assert.is_truthy(text:find("\n %*   " .. name .. " "), name .. " is not in the list")
    end
    pipe:close()
  end)
end)

-- The rockspec lists what is public, and the version is one.
local program = require "tests.support.program"

local version = require "lkrun".VERSION
local contents = require("tests.support.files").contents
local path = ("lkrun-%s-1.rockspec"):format(version)

describe("Packages", function()
  it("have the version of lkrun", function()
    assert.matches(('version = "%s-1"'):format(version), contents(path), 1, true)
    assert.matches("^lkrun %(" .. version:gsub("%.", "%%.") .. "%-%d", contents "packaging/debian/changelog")
    assert.matches(('set version = "%s"'):format(version), contents "packaging/conda/meta.yaml", 1, true)
  end)

  it("of LuaRocks have every public module", function()
    local rock = {}
    assert(load(contents(path), path, "t", rock))()
    local wanted = { "lkrun" }
    local pipe <close> = io.popen "ls docs/lkrec-*.md"
    for page in pipe:lines() do
      local name = "lkrec." .. page:match "lkrec%-([%w-]+)%.md":gsub("%-", ".")
      if pcall(require, name) then wanted[#wanted + 1] = name end
    end
    local listed = {}
    for name in pairs(rock.build.install.lua) do listed[#listed + 1] = name end
    table.sort(wanted)
    table.sort(listed)
    assert.same(wanted, listed)
  end)

  it("of LuaRocks load in a stock Lua, whichever module comes first", function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a sanitized core needs a sanitized Lua" end
    local folder = program.capture "mktemp -d"
    finally(function() os.execute("rm -r " .. folder) end)
    local rock = {}
    assert(load(contents(path), path, "t", rock))()
    for name, file in pairs(rock.build.install.lua) do
      local target = ("%s/%s.lua"):format(folder, (name:gsub("%.", "/")))
      os.execute(("install -D -m 644 %s %s"):format(file, target))
    end
    os.execute(("install -D %s %s/lkrun/core.so"):format(rock.build.install.lib["lkrun.core"], folder))
    local result = program.shell(([[cd /; LUA_PATH='%s/?.lua' LUA_CPATH='%s/?.so' exec lua5.4 -e '
      local popularity = require "lkrec.popularity"
      print(type(popularity.train), require("lkrun").VERSION)']]):format(folder, folder))
    assert.equal("function\t" .. version .. "\n", result.out, result.err)
  end)
end)

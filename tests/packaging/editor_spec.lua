-- The addon for lua-language-server, as `make install` puts it in place: what it says of the annotations,
-- and of the programs of the manual, which are right.
local blocks = require "tests.docs.blocks"
local lk = require "lkrun"
local program = require "tests.support.program"
local contents = require("tests.support.files").contents

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

local addon = lk.json.decode(contents "packaging/luals/config.json")

describe("The addon for lua-language-server", function()
  -- The server offers the addon where a file has one of its words, with no letter or digit right before or behind.
  it("is offered to who requires lkrun or lkrec, and to nobody else", function()
    local function is_offered(line)
      for _, word in ipairs(addon.words) do
        local before, after = line:match("([%w_]?)" .. word .. "([%w_]?)")
        if before == "" and after == "" then return true end
      end
      return false
    end
    for _, line in ipairs { 'local lk = require "lkrun"', "require('lkrun.tensor')", 'require"lkrec.als.implicit"' } do
      assert.is_true(is_offered(line), line)
    end
    for _, line in ipairs { 'require "lkrunner"', "-- lkrun", 'require "lfs"' } do
      assert.is_false(is_offered(line), line)
    end
  end)
end)

-- What the server finds in a folder: "file:line: code: message", sorted.
local function problems(folder, library)
  local settings = { ["workspace.checkThirdParty"] = false, ["workspace.library"] = { library } }
  -- A local variable may change its type.
  settings["diagnostics.disable"] = { "cast-local-type" }
  for name, value in pairs(addon.settings) do settings[name:gsub("^Lua%.", "")] = value end
  local state = program.capture "mktemp -d"
  write(state .. "/settings.json", lk.json.encode(settings))
  local result = program.shell(([[lua-language-server --check=%s --configpath=%s/settings.json --logpath=%s/log \
    --checklevel=Warning --check_format=json --check_out_path=%s/found.json]]):format(folder, state, state, state))
  local found = {}
  local file <close> = io.open(state .. "/found.json")
  for path, list in pairs(file and lk.json.decode(file:read "a") or {}) do
    for _, problem in ipairs(list) do
      found[#found + 1] = ("%s:%d: %s: %s"):format(path:match "[^/]+$", problem.range.start.line + 1,
        problem.code, problem.message)
    end
  end
  os.execute("rm -rf " .. state)
  table.sort(found)
  return found, result
end

describe("lua-language-server", function()
  if not program.capture "command -v lua-language-server" then
    return pending "says that the manual's programs are right (it is not installed)"
  end
  local folder, library

  setup(function()
    folder = program.capture "mktemp -d"
    local result = program.make("install PREFIX=" .. folder)
    assert.equal(0, result.status, result.err)
    library = folder .. "/share/lkrun/addons/lkrun/library"
    os.execute("mkdir " .. folder .. "/programs && cp examples/*.lua " .. folder .. "/programs")
    local pipe <close> = io.popen "ls README.md docs/*.md"
    for page in pipe:lines() do
      for _, block in ipairs(blocks.of(page)) do
        if block.kind == "lua" then
          write(("%s/programs/%s_%d.lua"):format(folder, page:gsub("%W", "_"), block.line), block.text)
        end
      end
    end
  end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  it("reads every annotation", function()
    local wrong = {}
    for _, problem in ipairs((problems(library, library))) do
      if problem:find "%d: [%w-]*doc[%w-]*: " then wrong[#wrong + 1] = problem end
    end
    assert.same({}, wrong)
  end)

  it("finds nothing wrong in the programs of the manual and the examples", function()
    assert.same({}, (problems(folder .. "/programs", library)))
  end)

  it("finds what is wrong", function()
    os.execute("mkdir " .. folder .. "/wrong")
    write(folder .. "/wrong/wrong.lua", [[
local lk = require "lkrun"
local inv <close> = lk.invokr(1, print)
lk.invoker(nil, print):mapp {}
lk.tensor.zeros({ 2, 3 }):narrow(1)
lk.cpu_count("x")
print(inv)
]])
    local found = table.concat(problems(folder .. "/wrong", library), "\n")
    for _, text in ipairs { "`invokr`", "`mapp`", "4: missing-parameter", "5: redundant-parameter" } do
      assert.matches(text, found, 1, true)
    end
  end)
end)

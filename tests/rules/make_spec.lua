-- rules/lkrun.mk under the real make.
local program = require "tests.support.program"
local contents = require("tests.support.files").read

local rules = program.capture "pwd" .. "/rules"

local makefile = ([[
LKRUN_MODELS = popularity als
LKRUN_MODEL_als = als.implicit
LKRUN_OPTIONS_als = "factors": 4, "epochs": 2, "seed": 1
LKRUN_SPLIT = "generate": {"users": 60, "items": 80, "ratings": 1000, "seed": 1}
LKRUN_BLOCK = 7
LKRUN_SHARDS = 3
include %s/lkrun.mk
all: $(LKRUN_MODELS:%%=out/first.%%.json)
]]):format(rules)


local function new_folder(text)
  local path = program.capture "mktemp -d"
  finally(function() os.execute("rm -r " .. path) end)
  local file <close> = assert(io.open(path .. "/Makefile", "wb"))
  file:write(text)
  return path
end

local function make(folder, arguments)
  return program.shell(("unset MAKEFLAGS MFLAGS MAKELEVEL; exec make --no-print-directory -C %s %s LKRUN=$LKRUN")
    :format(folder, arguments))
end

local function files_of(folder)
  local pipe <close> = io.popen(("cd %s && find . -type f | LC_ALL=C sort | tr '\\n' ' '"):format(folder))
  return pipe:read "l"
end

describe("rules/lkrun.mk", function()
  it("goes from ratings to metrics, and is the same for any number of jobs", function()
    local folders = {}
    for i, arguments in ipairs { "-j4", "" } do
      folders[i] = new_folder(makefile)
      local result = make(folders[i], arguments)
      assert.equal(0, result.status, result.out .. result.err)
      assert.not_matches("jobserver", result.err)
      assert.equal("./Makefile ./out/first.als.csv ./out/first.als.json ./out/first.als.lkz ./out/first.popularity.csv "
        .. "./out/first.popularity.json ./out/first.popularity.lkz ./out/first.split.lkz ./out/first.tasks.csv ",
        files_of(folders[i]))
    end
    for _, name in ipairs { "first.als.csv", "first.als.json", "first.popularity.json" } do
      local first = assert(contents(folders[1] .. "/out/" .. name))
      assert.is_true(first == contents(folders[2] .. "/out/" .. name), name .. " differs")
    end
    assert.matches('"ndcg": 0%.%d', contents(folders[1] .. "/out/first.als.json"))
    local result = make(folders[1], "-j4")
    assert.equal("make: Nothing to be done for 'all'.\n", result.out, result.err)
  end)

  it("refuses a model's name that is not a part of a file's", function()
    local result = make(new_folder((makefile:gsub("popularity als", "als/small"))), "-n")
    assert.equal(2, result.status)
    assert.matches("lkrun: LKRUN_MODELS: als/small found; expected names without /", result.err, 1, true)
  end)

  it("runs nothing under -n, -q and -t", function()
    for _, flag in ipairs { "n", "q", "t", "nk", "-dry-run", "-question", "-touch" } do
      local folder = new_folder(makefile .. "\nLKRUN = false\n")
      os.execute("mkdir " .. folder .. "/out")
      local result = program.shell(("unset MAKEFLAGS MFLAGS MAKELEVEL; exec make -C %s -j3 -%s LKRUN=%s/lkrun-ran")
        :format(folder, flag, folder))
      assert.not_matches("lkrun%-ran: No such file", result.err, flag)
      assert.not_matches("Error 127", result.out .. result.err, 1, true)
      assert.equal(flag:find "q" and 1 or 0, result.status, flag .. result.out .. result.err)
    end
  end)

  it("stops where a step fails, names it, and leaves no half of an output", function()
    local folder = new_folder(makefile .. "\nLKRUN_OPTIONS_als = \"fractures\": 4\n")
    local result = make(folder, "-j2 out/first.als.json")
    assert.equal(2, result.status)
    assert.matches("fractures", result.err, 1, true)
    assert.equal("./Makefile ./out/first.split.lkz ./out/first.tasks.csv ", files_of(folder))
  end)
end)

-- The logger plugin in the real Snakemake, on a real terminal and without one.
local await = require "tests.support.await"
local program = require "tests.support.program"
local workflow = require "tests.snakemake.workflow"

local snakefile = [[
include: "RULES/lkrun.smk"
rule all:
    input: "out/0.txt", "out/1.txt", "noise.txt"
rule work:
    output: "out/{i}.txt"
    script: "work.lua"
rule noise:
    output: "noise.txt"
    shell:
        "echo some noise >&2; until [ -e heard ] || [ -e gate ]; do sleep 0.05; done;"
        " echo more noise >&2; touch {output}"
]]

-- Half of the tasks, then the gate.
local work = [[
local lk = require "lkrun"
local display <close> = lk.invoke_progress { label = "users", total = 10, unit = "users" }
for i = 1, 10 do
  if i == 6 then
    repeat display:update(0); os.execute "sleep 0.05"; local gate = io.open "gate" until gate and gate:close()
  end
  display:update(1, "finished")
end
io.open(snakemake.output[1], "w"):write "done\n":close()
]]

local function new(files)
  local folder = workflow.new(files)
  finally(function() folder:remove() end)
  return folder
end

describe("snakemake-logger-plugin-lkrun", function()
  local reason = workflow.missing()
  if reason then return pending("shows live progress (" .. reason .. ")") end

  it("passes the interface package's own suite", function()
    local folder = new {}
    local result = folder:shell("python -m pytest -q -p no:cacheprovider " .. workflow.checkout
      .. "/plugins/snakemake-logger-plugin-lkrun/tests 2>&1")
    assert.equal(0, result.status, result.out)
    assert.matches("%d+ passed", result.out)
  end)

  it("keeps a line for the workflow and a bar a job below what is printed", function()
    local folder = new { Snakefile = snakefile, ["work.lua"] = work }
    local screen <close> = folder:on_terminal("--cores 3 --logger lkrun", 100, 40)
    screen:expect(function(shown)
      return shown:find "some noise" and shown:find "work i=0 %(users%) +50%%" and shown:find "work i=1 %(users%) +50%%"
    end)
    folder:write("heard", "")
    local text = screen:expect(function(shown)
      return shown:find "1 of 4 jobs done, 2 running" and shown:find "more noise"
        and shown:find "work i=0 %(users%) +50%%.*5/10 users %[0 in progress, 0 dispatched"
        and shown:find "work i=1 %(users%) +50%%"
    end)
    assert.is_true(text:find("some noise", 1, true) < text:find "%d of 4 jobs done", text)
    assert.matches("\nmore noise *\n", text)
    assert.not_matches("INFO progress", text)
    folder:write("gate", "")
    text = screen:expect "status 0"
    assert.matches("4 of 4 steps %(100%%%) done", text)
    assert.not_matches("jobs done", text)
    assert.not_matches("users", text)
    assert.equal("done\n", folder:read "out/0.txt")
    assert.equal("", folder:shell("ls -d .snakemake/lkrun-progress-* 2>/dev/null").out)
  end)

  it("says less on a narrow terminal", function()
    local folder = new { Snakefile = snakefile, ["work.lua"] = work }
    local screen <close> = folder:on_terminal("--cores 3 --logger lkrun", 50, 40)
    screen:expect(function(shown)
      return shown:find "\nwork i=0 %(users%) +50%%|[^|\n]+| 5/10 [^\n]*left"
        and shown:find "\nwork i=1 %(users%) +50%%|"
    end)
    folder:write("gate", "")
    screen:expect "status 0"
  end)

  it("leaves jobs alone when there is no place for its folder, and when their disk is full", function()
    local killer = program.executable:match "^(.*)/" .. "/tests/killer.so"
    local folder = new { Snakefile = ([[
rule full:
    output: "out"
    shell:
        "LD_PRELOAD=KILLER ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"
        " LKRUN_FULL_AT=1 lkrun full.lua {output}"
]]):gsub("KILLER", killer), ["full.lua"] = [[
local lk = require "lkrun"
local display <close> = lk.invoke_progress { label = "users", total = 2 }
display:update(2, "finished")
io.open(arg[1], "w"):close()
]] }
    local out = folder:succeed "--cores 1 --logger lkrun --logger-lkrun-folder progress"
    assert.matches("1 of 1 steps", out, 1, true)
    assert.equal("0\n", folder:shell("cat progress/*.jsonl | wc -c").out) -- opened, but on a full disk
    out = folder:succeed "--cores 1 --forceall --logger lkrun --logger-lkrun-folder /proc/nowhere"
    assert.matches("1 of 1 steps", out, 1, true)
  end)

  it("goes on where a job is killed, and says so", function()
    local folder = new { Snakefile = snakefile, ["work.lua"] = work, heard = "" }
    local screen <close> = folder:on_terminal("--cores 3 --keep-going --logger lkrun", 100, 60)
    screen:expect(function(shown)
      return shown:find "work i=0 %(users%) +50%%" and shown:find "work i=1 %(users%) +50%%"
    end)
    local killed = folder:shell("grep -l out/0.txt .snakemake/lkrun-progress-*/*.jsonl").out:match "%-(%d+)%.jsonl"
    os.execute("kill -9 " .. killed)
    screen:expect(function(shown)
      return shown:find("Error in rule work:", 1, true) and shown:find("1 of 4 jobs done, 1 running, 1 failed", 1, true)
        and shown:find "work i=1 %(users%) +50%%" and not shown:find "work i=0 %(users%) +50%%"
    end)
    folder:write("gate", "")
    screen:expect "status 1"
    assert.equal("done\n", folder:read "out/1.txt")
    assert.is_nil(folder:read "out/0.txt")
  end)

  it("leaves jobs alone when it is killed", function()
    local killed = new { Snakefile = snakefile, ["work.lua"] = work }
    local pid = killed:shell("snakemake --cores 3 --logger lkrun >printed 2>&1 & echo $!").out:match "%d+"
    await(function()
      local counted = killed:shell "cat .snakemake/lkrun-progress-*/*.jsonl 2>/dev/null | grep -c '\"finished\":5,'"
      return tonumber(counted.out) >= 2
    end, "two jobs at their gates")
    os.execute("kill -9 " .. pid)
    killed:write("gate", "")
    await(function() return killed:read "out/0.txt" == "done\n" and killed:read "out/1.txt" == "done\n" end,
      "the jobs to finish without Snakemake")
  end)
end)

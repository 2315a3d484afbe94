-- The logger plugin in the real Snakemake, on a real terminal and without one.
local await = require "tests.await"
local terminal = require "tests.terminal"
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
    shell: "echo some noise >&2; sleep 0.1; echo more noise >&2; touch {output}"
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

-- What a run writes, without what differs from run to run.
local function normal(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    if not (line:find "^%[" or line:find "Complete log" or line:find "Elapsed" or line:find "^  [A-Z]"
      or line:find "INFO progress") then -- lkrun's own lines, where nobody watches
      lines[#lines + 1] = line
    end
  end
  table.sort(lines) -- jobs run side by side
  return table.concat(lines, "\n")
end

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
    local screen <close> = terminal.run("", {
      columns = 100, rows = 40,
      command = folder:command("true"):gsub("^exec </dev/null; ", "")
        .. " && (snakemake --cores 3 --logger lkrun)",
    })
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
    local screen <close> = terminal.run("", {
      columns = 50, rows = 40,
      command = folder:command("true"):gsub("^exec </dev/null; ", "")
        .. " && (snakemake --cores 3 --logger lkrun)",
    })
    screen:expect(function(shown)
      return shown:find "\nwork i=0 %(users%) +50%%|[^|\n]+| 5/10 [^\n]*left"
        and shown:find "\nwork i=1 %(users%) +50%%|"
    end)
    folder:write("gate", "")
    screen:expect "status 0"
  end)

  it("prints what Snakemake's own display prints", function()
    for _, options in ipairs { "-p", "--quiet rules", "--quiet all", "--dry-run", "--quiet progress" } do
      local printed = {}
      for i, logger in ipairs { "", "--logger lkrun" } do
        local folder = new { Snakefile = snakefile, ["work.lua"] = work, gate = "" }
        local result = folder:shell(("PYTHONHASHSEED=0 snakemake --cores 1 %s %s 2>&1"):format(options, logger))
        assert.equal(0, result.status, result.out)
        printed[i] = normal(result.out:gsub("%S+/tmp[%w._]+", "TMP"))
      end
      assert.equal(printed[1], printed[2], options)
    end
  end)

  it("shows a failed job and its log", function()
    local folder = new { Snakefile = [[
rule failing:
    output: "x"
    log: "x.log"
    shell: "echo the last words >{log}; exit 3"
]] }
    local result = folder:snakemake "--cores 1 --show-failed-logs --logger lkrun"
    assert.equal(1, result.status)
    assert.matches("Error in rule failing", result.out, 1, true)
    assert.matches("the last words", result.out, 1, true)
  end)

  it("leaves jobs alone when it cannot write or is killed", function()
    local folder = new { Snakefile = snakefile, ["work.lua"] = work, gate = "" }
    local out = folder:succeed "--cores 2 --logger lkrun --logger-lkrun-folder /proc/nowhere"
    assert.matches("4 of 4 steps", out, 1, true)

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

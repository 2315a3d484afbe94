-- Snakemake's own `script:` with a Lua script, by include and by module, here and in a remote job.
local lk = require "lkrun"
local workflow = require "tests.snakemake.workflow"

-- Leaves the job, as the script sees it, in its output.
local DESCRIBE = [==[
local lk = require "lkrun"
local job = {}
for key, value in pairs(snakemake) do job[key] = value end
for key, value in pairs(snakemake.params) do
  if value == -math.huge then snakemake.params[key] = "less than all" end
end
-- Tables with both positions and names are not JSON.
for _, key in ipairs { "input", "output", "params", "wildcards", "log" } do
  job[key], job[key .. "_named"] = table.pack(table.unpack(snakemake[key])), {}
  job[key].n = nil
  for name, value in pairs(snakemake[key]) do
    if type(name) == "string" then job[key .. "_named"][name] = value end
  end
end
-- Integer keys and infinities are not JSON either.
job.third, snakemake.config[3] = snakemake.config[3], nil
local nested = snakemake.params.nested or {}
job.fifth, nested[5] = nested[5], nil
job.processes = lk.proc_count()
job.child_threads = lk.config().child_threads
job.granted_by = require "lkrun.core.config".sources().granted_by
job.script = arg[0]
job.types = {}
for name, value in pairs(snakemake.params) do
  if type(name) == "string" then job.types[name] = math.type(value) or type(value) end
end
io.stderr:write("a message\n")
local file <close> = assert(io.open(snakemake.output[1], "w"))
file:write(lk.json.encode(job))
]==]

local NAMES = [==[in 'put' "q".txt]==]
local LINES = "two\nlines.txt"

local function described(self, path) return lk.json.decode(self:read(path)) end

describe("script: with a Lua script", function()
  local reason = workflow.missing()
  if reason then return pending("runs under lkrun (" .. reason .. ")") end

  local included
  lazy_setup(function()
    included = workflow.new {
      ["config.yaml"] = "models: [als, bias]\n3: three\nday: 2026-01-31\nempty: null\nunicode: 'Ζωή'\n",
      [NAMES] = "x", [LINES] = "w", ["Ζωή $HOME `x`.txt"] = "y", ["plain.txt"] = "z",
      ["scripts/describe.lua"] = DESCRIBE,
      ["scripts/from_python.py"] = [[
import os
open(snakemake.output[0], "w").write(f"{snakemake.threads} {snakemake.rule}")
]],
      ["scripts/sibling.lua"] = "return 'beside the script'",
      ["scripts/requires.lua"] = [[#!/usr/bin/env lkrun
local file <close> = io.open(snakemake.output.text, "w")
file:write((require "sibling"))]],
      ["scripts/shadowed.lua"] = [[
local here = io.open "left behind" or io.open("left behind", "w")
here:close()
local input <close> = assert(io.open(snakemake.input[1]))
local output <close> = io.open(snakemake.output[1], "w")
output:write(input:read "a", arg[0])
io.stderr:write "from the shadow\n"]],
      Snakefile = "NAME = " .. ("%q"):format(NAMES) .. [[

configfile: "config.yaml"
include: "RULES/lkrun.smk"

rule all:
    input: "out/α β.json", "python.txt", "required.txt", "shadowed.txt", "shell.txt"

rule describe:
    input: NAME, model="plain.txt", parts=[NAME, "Ζωή $HOME `x`.txt"], lines="two\nlines.txt"
    output: "out/{name}.json"
    params:
        7,
        nested={"list": [1, None, {"deep": [True, 2.5]}], 5: "five"},
        text=lambda wildcards: "line\nbreak 'single' \"double\" \\ $HOME {braces} \r\t\x01",
        nothing=None, whole=1.0, integer=2**62, infinite=float("-inf"),
        path=__import__("pathlib").Path("a") / "b",
    log: "logs/{name}.txt"
    threads: 3
    resources: mem_mb=100, label="x y"
    benchmark: repeat("bench/{name}.tsv", 2)
    script: "scripts/describe.lua"

rule from_python:
    output: "python.txt"
    threads: 2
    script: "scripts/from_python.py"

rule requires:
    output: text="required.txt"
    params: step="requires"
    script: "scripts/{params.step}.lua"

rule shadowed:
    input: "plain.txt"
    output: "shadowed.txt"
    log: "logs/shadowed.txt"
    shadow: "minimal"
    script: "scripts/shadowed.lua"

rule in_shell:
    output: "shell.txt"
    threads: 2
    shell: "lkrun -e 'local c = require \"lkrun\".config() print(c.processes, c.child_threads, "
        "require \"lkrun.core.config\".sources().granted_by)' >{output}"
]],
    }
    included.output = included:succeed "--cores 3"
  end)
  lazy_teardown(function() included:remove() end)

  it("finds the files of its job by position and by name, whatever they are called", function()
    local job = described(included, "out/α β.json")
    local third = "Ζωή $HOME `x`.txt"
    assert.same({ NAMES, "plain.txt", NAMES, third, LINES }, job.input)
    assert.same({ model = "plain.txt", parts = { NAMES, third }, lines = LINES }, job.input_named)
    assert.same({ "out/α β.json" }, job.output)
    assert.same({ "α β" }, job.wildcards)
    assert.same({ name = "α β" }, job.wildcards_named)
    assert.same({ "logs/α β.txt" }, job.log)
  end)

  it("finds its parameters nested, with every byte and every kind of number", function()
    local job = described(included, "out/α β.json")
    local named = job.params_named
    assert.equal(7, job.params[1])
    assert.equal(lk.null, named.nested.list[2])
    assert.same({ true, 2.5 }, named.nested.list[3].deep)
    assert.equal("five", job.fifth)
    assert.equal("line\nbreak 'single' \"double\" \\ $HOME {braces} \r\t\1", named.text)
    assert.is_nil(named.nothing)
    assert.equal(1 << 62, named.integer)
    assert.equal("a/b", named.path)
    assert.equal("float", job.types.whole)
    assert.equal("integer", job.types.integer)
    assert.equal("less than all", named.infinite)
  end)

  it("finds the rest of its job", function()
    local job = described(included, "out/α β.json")
    assert.equal("describe", job.rule)
    assert.equal(3, job.threads)
    assert.equal(100, job.resources.mem_mb)
    assert.equal("x y", job.resources.label)
    assert.is_nil(job.resources._cores)
    assert.equal("integer", math.type(job.jobid))
    assert.equal(included.folder .. "/scripts", job.scriptdir)
    assert.equal(included.folder .. "/scripts/describe.lua", job.script)
    assert.same({ models = { "als", "bias" }, day = "2026-01-31", unicode = "Ζωή" }, job.config)
    assert.equal("three", job.third)
  end)

  it("takes the job's threads for its CPUs, whatever the machine has", function()
    local job = described(included, "out/α β.json")
    assert.equal(3, job.processes)
    assert.equal(1, job.child_threads)
    assert.equal("Snakemake", job.granted_by)
  end)

  it("writes its messages to the log, and its benchmark's repetitions one after the other", function()
    assert.equal("a message\na message\n", included:read "logs/α β.txt")
    local _, lines = included:read "bench/α β.tsv":gsub("\n", "")
    assert.equal(3, lines)
    assert.equal(1, described(included, "out/α β.json").bench_iteration)
    assert.is_nil(included.output:find("a message", 1, true))
  end)

  it("leaves other languages as they were", function()
    assert.equal("2 from_python", included:read "python.txt")
  end)

  it("finds modules beside the script", function()
    assert.equal("beside the script", included:read "required.txt")
  end)

  it("works in a shadow folder", function()
    assert.equal("z" .. included.folder .. "/scripts/shadowed.lua", included:read "shadowed.txt")
    assert.equal("from the shadow\n", included:read "logs/shadowed.txt")
    assert.is_nil(included:read "left behind")
  end)

  it("and lkrun in a shell command take the same threads", function()
    assert.equal("2\t1\tSnakemake\n", included:read "shell.txt")
  end)

  describe("that fails", function()
    local failing, output
    lazy_setup(function()
      failing = workflow.new {
        ["scripts/fail.lua"] = [[
local file <close> = io.open(snakemake.output[1], "w")
file:write "half of it"
local function inner() error "the reason" end
inner()]],
        ["scripts/operation.lua"] = [[
local lk = require "lkrun"
lk.map(nil, function(_, task) return task.missing.field end, { 1, 2 }, { n_jobs = 2 })()]],
        ["scripts/syntax.lua"] = "local x = = 3",
        Snakefile = [[
include: "RULES/lkrun.smk"
rule logged:
    output: "logged.txt"
    log: "logged.log"
    script: "scripts/fail.lua"
rule unlogged:
    output: "unlogged.txt"
    script: "scripts/fail.lua"
rule operation:
    output: "operation.txt"
    log: "operation.log"
    script: "scripts/operation.lua"
rule syntax:
    output: "syntax.txt"
    log: "syntax.log"
    script: "scripts/syntax.lua"
rule unsendable:
    output: "unsendable.txt"
    params: table={"callbacks": [len]}
    script: "scripts/fail.lua"
]],
      }
      local result = failing:snakemake "--cores 1 --keep-going logged unlogged operation syntax unsendable"
      assert.equal(1, result.status)
      output = result.out
    end)
    lazy_teardown(function() failing:remove() end)

    it("shows script, line and traceback in Snakemake's error, and in the log", function()
      local script = failing.folder .. "/scripts/fail.lua"
      local report = ("lkrun: %s:3: the reason\nstack traceback:"):format(script)
      assert.truthy(output:find(("%s ended with exit status 1:\n%s"):format(script, report), 1, true))
      assert.truthy(output:find(script .. ":4: in main chunk", 1, true))
      assert.truthy(failing:read "logged.log":find(report, 1, true))
    end)

    it("without a log shows them above that error", function()
      assert.truthy(output:find("fail.lua:3: the reason\nstack traceback:.-its messages are above"))
    end)

    it("in a worker shows where it was raised there", function()
      assert.truthy(output:find("task 1 %(worker %d%): [^\n]*operation.lua:2: attempt to index"))
      assert.truthy(output:find("where it was raised: stack traceback:\n\t[^\n]*operation.lua:2: in function"))
    end)

    it("by its syntax shows the line", function()
      assert.truthy(output:find("syntax.lua:1: unexpected symbol near '='", 1, true))
    end)

    it("to hand over a parameter names it", function()
      assert.truthy(output:find("params.table.callbacks[1]: a value of type builtin_function_or_method found", 1, true))
    end)

    it("leaves no output half-written", function()
      assert.is_nil(failing:read "logged.txt")
      assert.is_nil(failing:read "unlogged.txt")
    end)
  end)

  it("works in a workflow that takes the rules as a module, in a remote job", function()
    local remote <close> = setmetatable(workflow.new {
      ["scripts/describe.lua"] = DESCRIBE,
      ["submit.sh"] = '#!/bin/sh\nsh "$1" >>remote.log 2>&1 &\necho $!\n',
      Snakefile = [[
module lkrun:
    snakefile: "RULES/lkrun.smk"
use rule * from lkrun
script = lkrun.script

rule describe:
    output: "remote {n}.json"
    log: "remote {n}.txt"
    threads: 2
    script: "scripts/describe.lua"
]],
    }, { __close = workflow.remove, __index = workflow })
    remote:succeed("--executor cluster-generic --cluster-generic-submit-cmd 'sh submit.sh' --jobs 2 --cores 2 "
      .. "--seconds-between-status-checks 1 'remote 1.json'")
    local job = described(remote, "remote 1.json")
    assert.equal("describe", job.rule)
    assert.same({ "remote 1.json" }, job.output)
    assert.equal(0, job.jobid)
    assert.equal(2, job.processes)
    assert.equal("a message\n", remote:read "remote 1.txt")
  end)

  it("is refused by name under a Snakemake that is built otherwise", function()
    for name, change in pairs {
      ["script.script"] = "snakemake.script.script = lambda path, basedir: None",
      ["script.ScriptBase.evaluate"] = "snakemake.script.ScriptBase.evaluate = lambda self: None",
    } do
      local other <close> = setmetatable(workflow.new {
        Snakefile = "import snakemake.script\n" .. change .. [[

include: "RULES/lkrun.smk"
rule all:
    output: "x"
    script: "x.lua"
]],
      }, { __close = workflow.remove, __index = workflow })
      local result = other:snakemake "--cores 1 --dry-run"
      assert.equal(1, result.status)
      local found = other:shell "snakemake --version".out:match "%S+"
      local message = result.out:gsub("%s+", " ")
      assert.truthy(message:find(("Snakemake %s found, whose snakemake.%s is not as in Snakemake 9.27.1")
        :format(found, name), 1, true), message)
    end
  end)
end)

-- snakemake: the cost of a job of one rule as a shell command, a Lua script and a Python script that do the same:
-- 200 jobs run one after the other, and the time of the whole run is divided by their number. The time to start
-- Snakemake is included in all three.
local lk = require "lkrun"
local measure = require "measure"

local JOBS = measure.option("JOBS", 200)
local checkout = io.popen("pwd"):read()
local folder = io.popen("mktemp -d"):read()
local bin = checkout .. "/build/venv-snakemake/bin"
if not io.open(bin .. "/snakemake") then
  error("bench: no Snakemake in build/venv-snakemake; make build/venv-snakemake/installed says why", 0)
end

local function write(path, text)
  local file <close> = assert(io.open(folder .. "/" .. path, "w"))
  file:write(text)
end

write("Snakefile", ([[
include: "%s/rules/lkrun.smk"
rule shell:
    output: "out/shell.{n}"
    shell: "lkrun shell.lua {wildcards.n} {output}"
rule lua:
    output: "out/lua.{n}"
    script: "script.lua"
rule python:
    output: "out/python.{n}"
    script: "script.py"
]]):format(checkout))
write("shell.lua", "io.open(arg[2], 'w'):write(arg[1], '\\n'):close()\n")
write("script.lua", "io.open(snakemake.output[1], 'w'):write(snakemake.wildcards.n, '\\n'):close()\n")
write("script.py", "print(snakemake.wildcards.n, file=open(snakemake.output[0], 'w'))\n")
assert(os.execute(("mkdir '%s/bin' && ln -s '%s' '%s/bin/lkrun'"):format(folder, checkout .. "/" .. arg[-1], folder)))

-- Returns the milliseconds for each job.
local function run(rule)
  local command = ("cd '%s' && rm -rf out .snakemake && PATH='%s/bin:%s':$PATH XDG_CACHE_HOME='%s' "
    .. "snakemake --cores 1 --quiet all --"):format(folder, folder, bin, folder)
  for n = 1, JOBS do command = command .. (" out/%s.%d"):format(rule, n) end
  local start = lk.clock()
  if not os.execute(command .. " >messages 2>&1") then
    os.execute(("cat '%s/messages' >&2"):format(folder))
    error(("bench: the jobs of rule %s failed"):format(rule), 0)
  end
  return (lk.clock() - start) / JOBS * 1e3
end

local samples = measure.rounds(measure.option("ROUNDS", 3), {
  shell = function() return run "shell" end,
  lua = function() return run "lua" end,
  python = function() return run "python" end,
})
os.execute(("rm -rf '%s'"):format(folder))
local function minus(a, b) return a - b end
measure.report("snakemake.shell.ms", samples.shell)
measure.report("snakemake.lua.over_shell.ms", measure.each(samples.lua, samples.shell, minus), "<= 20")
measure.report("snakemake.python.over_shell.ms", measure.each(samples.python, samples.shell, minus))

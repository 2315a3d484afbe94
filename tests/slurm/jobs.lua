-- Jobs of a real Slurm, by Snakemake and without it. make check-slurm runs this, inside tests/slurm/cluster.
local slurm = require "tests.snakemake.slurm"
local workflow = require "tests.snakemake.workflow"

local SNAKEFILE = workflow.rules .. "/recommend/Snakefile"

-- Each task notes that it ran; in the first attempt task 4 never ends by itself.
local OPERATION = [[
local lk = require "lkrun"
local arguments = ...
local function append(path, line)
  local file <close> = assert(io.open(path, "a"))
  file:write(line, "\n")
end
return {
  columns = { "task", "random" },
  run = function(_, task)
    append(arguments.name .. ".ran", task.task)
    if task.task == 4 and not io.open(arguments.name .. ".again") then
      append(arguments.name .. ".again", "")
      local ballast = {}
      while true do
        if arguments.grow then ballast[#ballast + 1] = ("x"):rep(1 << 24) end
        local pipe <close> = io.popen "sleep 0.05"
        pipe:read "a"
      end
    end
    return { task = task.task, random = lk.random() }
  end,
}
]]

describe("Under Slurm,", function()
  local folder
  before_each(function() folder = workflow.new {} end)
  after_each(function() folder:remove() end)

  it("a job takes its CPUs for its grant", function()
    local program = "lkrun -e 'local lk = require \"lkrun\" print(lk.proc_count(), "
      .. "require(\"lkrun.core.config\").sources().granted_by)'"
    assert.equal("2\tSLURM_CPUS_PER_TASK\n", folder:shell("srun --quiet -c 2 " .. program).out)
    assert.equal("1\tSLURM_CPUS_PER_TASK\n", folder:shell("srun --quiet -c 1 " .. program).out)
    local above = folder:shell("LK_NUM_PROCS=2 srun --quiet -c 1 " .. program)
    assert.equal("1\tSLURM_CPUS_PER_TASK\n", above.out)
    assert.truthy(above.err:find("above the 1 CPUs granted by SLURM_CPUS_PER_TASK", 1, true))
  end)

  it("the recommendation workflow gives what it gives here, its shards in job arrays", function()
    folder:write("config.yaml", "generate: {users: 60, items: 120, ratings: 1500}\nshards: 3\nblock: 7\nn: 5\n"
      .. "threads: 1\nmodels:\n  als: {model: als.implicit, factors: 4}\n")
    local list = "results/recommendations/als.csv"
    local function run(how)
      return folder:succeed(("--snakefile %s --configfile config.yaml %s -- %s"):format(SNAKEFILE, how, list))
    end
    run "--cores 2"
    local here = assert(folder:read(list))
    folder:shell "rm -r results .snakemake"
    local output = run(slurm.OPTIONS .. "--slurm-array-jobs=all")
    assert.equal(here, folder:read(list))
    assert.truthy(output:find "Submitted array job with Snakemake IDs %d+,%d+,%d+ and SLURM job ID %d+")
  end)

  it("what the manual's page has a reader type does what it says", function()
    local result = folder:shell("cd " .. workflow.checkout .. " && LKRUN_SLURM=1 lkrun tests/docs.lua docs/slurm.md")
    assert.equal(0, result.status, result.out .. result.err)
    assert.equal("2 passed, 0 failed, 0 skipped\n", result.out)
  end)

  describe("jobs that are killed", function()
    local output, file
    -- One run for all: the time limit alone takes more than a minute.
    lazy_setup(function()
      file = workflow.new {
        ["operation.lua"] = OPERATION,
        ["tasks.csv"] = "task\n1\n2\n3\n4\n5\n6\n",
        Snakefile = [[
import json

MINUTES = {"late": 1}

def arguments(wildcards):
    return json.dumps({"name": wildcards.name, "grow": wildcards.name == "large"})

wildcard_constraints:
    name="cancelled|large|late"

rule all:
    input: expand("{name}.csv", name=["cancelled", "large", "late"])

rule map:
    input: "operation.lua", "tasks.csv"
    output: "{name}.csv"
    log: "{name}.log"
    params: arguments=arguments
    resources: runtime=lambda wildcards: MINUTES.get(wildcards.name, 10)
    retries: 3
    shell:
        "lkrun map operation.lua --tasks tasks.csv --types task:i64 --op-args {params.arguments:q} --seed 7"
        " --resume --output {output:q} 2>>{log:q}"
]],
      }
      local command = file:command("snakemake --nocolor " .. slurm.OPTIONS
        .. "--keep-going >run.log 2>&1; echo $? >status")
      assert(os.execute("(" .. command .. ") &"))
      slurm.await(function() return file:read "cancelled.again" end, "task 4 of the job to cancel")
      local queue = file:shell "squeue --noheader --format '%i %k'".out
      local job = assert(queue:match "(%d+) rule_map_wildcards_cancelled", queue)
      file:shell("scancel " .. job)
      slurm.await(function() return file:read "status" end, "the jobs to end")
      output = file:read "run.log"
      assert.equal("0\n", file:read "status", output)
      file:write("whole.again", "") -- not the first attempt of "whole", so its task 4 ends
      assert(file:shell [[
        lkrun map operation.lua --tasks tasks.csv --types task:i64 --op-args '{"name": "whole"}' --seed 7 \
          --output whole.csv]].status == 0)
    end)
    lazy_teardown(function() file:remove() end)

    for name, what in pairs {
      cancelled = "by scancel", large = "for their memory", late = "at the one-minute limit",
    } do
      it(what .. " are tried again and go on where they were", function()
        assert.equal(file:read "whole.csv", file:read(name .. ".csv"))
        local runs = {}
        for task in file:read(name .. ".ran"):gmatch "%d+" do
          runs[tonumber(task)] = (runs[tonumber(task)] or 0) + 1
        end
        assert.same({ 1, 1, 1, 2, 1, 1 }, runs)
        assert.truthy(file:read(name .. ".log"):find "%.lkrun%-journal: [3-5] results are there already")
        assert.is_nil(file:read(name .. ".csv.lkrun-journal"))
      end)
    end
  end)

end)

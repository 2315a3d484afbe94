-- The logger plugin shows jobs that run on other nodes: they say how far they are in a shared folder.
local slurm = require "tests.snakemake.slurm"
local workflow = require "tests.snakemake.workflow"

-- Task 6 ends when the gate is open.
local OPERATION <const> = [[
return function(_, task)
  while task.task == "6" and not io.open "gate" do os.execute "sleep 0.1" end
  return task
end]]

local SNAKEFILE <const> = [[
rule all:
    input: "node1.csv", "node2.csv"
rule visit:
    input: "operation.lua", "tasks.csv"
    output: "{node}.csv"
    log: "{node}.log"
    threads: 2
    resources: slurm_extra=lambda wildcards: f"'--nodelist={wildcards.node}'"
    shell: "lkrun map operation.lua --tasks tasks.csv --output {output} 2>{log}"
]]

describe("Under Slurm, snakemake-logger-plugin-lkrun", function()
  it("keeps a bar for each job, on whatever node it runs", function()
    local folder <close> = setmetatable(workflow.new {
      ["operation.lua"] = OPERATION, ["tasks.csv"] = "task\n1\n2\n3\n4\n5\n6\n", Snakefile = SNAKEFILE,
    }, { __close = workflow.remove, __index = workflow })
    local screen <close> = folder:on_terminal(slurm.OPTIONS .. " --logger lkrun", 120, 50)
    local function shows(text)
      return slurm.await(function()
        local shown = screen:screen()
        return shown:find(text) and shown
      end, text)
    end
    -- Five of six are done; where there is one CPU, they are done in place, and what is shown may be older.
    local bar = "\nvisit node=node%d %%(operation%%) +%%d+%%%%|[^\n]*| %%d/6 tasks %%[1 in progress, 0 dispatched,"
    shows(bar:format(1))
    local shown = shows(bar:format(2))
    assert.matches("\n0 of 3 jobs done, 2 running", shown)
    local files = folder:shell "cd .snakemake/lkrun-progress-*/ && ls".out
    assert.matches("^node1%-%d+%.jsonl\nnode2%-%d+%.jsonl\n$", files)
    folder:write("gate", "")
    shows "status 0"
    assert.equal("", folder:shell("ls -d .snakemake/lkrun-progress-* 2>/dev/null").out)
  end)
end)

-- What the tests in tests/slurm share. make check-slurm runs them, inside tests/slurm/cluster.
local lk = require "lkrun"

local slurm = {}

-- Slurm without accounts or accounting. The executor asks for the state of its jobs after 8 seconds, then after 18
-- more, 28 more, … Two processes of Snakemake and lkrun have to fit into the memory of a job.
slurm.OPTIONS = "--executor slurm --jobs 8 --slurm-no-account --slurm-status-command squeue "
  .. "--slurm-init-seconds-before-status-checks 8 --default-resources slurm_partition=main mem_mb=600 runtime=10 "

local PATIENCE <const> = 600 -- seconds; Slurm enforces a time limit of a minute some time after the minute

--- Waits until a condition holds, without taking a CPU from the jobs.
function slurm.await(condition, what)
  local start = lk.clock()
  repeat
    local value = condition()
    if value then return value end
    os.execute "sleep 0.2"
  until lk.clock() - start > PATIENCE
  error("waited in vain for " .. what, 2)
end

return slurm

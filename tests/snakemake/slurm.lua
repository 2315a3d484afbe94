-- What the tests under tests/slurm have in common. make check-slurm runs them, inside tests/slurm/cluster.
local lk = require "lkrun"

local slurm = {}

-- Slurm without accounts or accounting. The executor looks after 8 seconds, then 18 later, 28, …
-- Two Snakemakes and lkrun have to fit into a job's memory.
slurm.OPTIONS = "--executor slurm --jobs 8 --slurm-no-account --slurm-status-command squeue "
  .. "--slurm-init-seconds-before-status-checks 8 --default-resources slurm_partition=main mem_mb=600 runtime=10 "

local PATIENCE <const> = 600 -- seconds; a minute's limit is enforced some time after the minute

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

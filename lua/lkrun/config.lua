--- The four numbers that configure parallel work, and how many CPUs it may use. See docs/config.md.
local core = require "lkrun.core.config"

local config = {}

--- What `lk.initialize` takes; each from 1 to 32768.
---@class lkrun.ConfigOptions
---@field processes? integer worker processes of an invoker
---@field threads? integer threads for building models
---@field backend_threads? integer threads of the compute backend in this process; -1: left alone
---@field child_threads? integer threads of the compute backend in each worker process

--- What `lk.config` returns.
---@class lkrun.Config
---@field processes integer
---@field threads integer
---@field backend_threads integer
---@field child_threads integer
---@field total_threads integer threads × backend_threads; just threads where the backend is left alone

--- Fixes the configuration of this process. A parameter that is nil comes from its environment variable
--- (LK_NUM_PROCS, LK_NUM_THREADS, LK_NUM_BACKEND_THREADS, LK_NUM_CHILD_THREADS), else from the
--- default. The environment is read here and never again. A second call warns and changes nothing.
--- Raises for an unknown name, and for an option or a variable that is not a whole number from 1 to
--- 32768 (or -1 for backend_threads); then nothing has been initialized.
---@param options? lkrun.ConfigOptions
function config.initialize(options) core.initialize(options) end

--- Initializes from variables and defaults, unless that was done before; everything parallel calls it.
--- Raises for a bad variable.
function config.ensure_parallel_init() core.ensure_parallel_init() end

--- The configuration; initializes it if that was not done before. The table is a copy for the caller.
--- Raises for a bad variable.
---@return lkrun.Config
function config.config() return core.config() end

--- CPUs this process may use now: the least of its affinity mask, its cpuset and the CPU quotas of
--- its cgroup and those above it (rounded up), at least 1.
---@return integer cpus
function config.cpu_count() return core.cpu_count() end

--- The number of worker processes an invoker makes unless told otherwise: `lk.config().processes`.
--- Raises for a bad variable.
---@return integer processes
function config.proc_count() return core.proc_count() end

return config

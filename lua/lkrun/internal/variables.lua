--- The variables of the environment that lkrun reads, as keys.
---@type table<string, boolean>
return {
  LK_BIND = true, LK_LOG_LEVEL = true, LK_NUM_BACKEND_THREADS = true, LK_NUM_CHILD_THREADS = true,
  LK_NUM_PROCS = true, LK_NUM_THREADS = true, LK_PROGRESS = true, LK_PROGRESS_DIR = true, LK_REGION_SIZE = true,
  LK_TRACE = true,
}

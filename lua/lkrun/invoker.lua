--- Invokers: func(model, task) over many tasks in worker processes, with the model in shared memory.
local core = require "lkrun.core.pool"
local errors = require "lkrun.internal.errors"
local config = require "lkrun.config"
local fail = require "lkrun.internal.fail"
local value_text = require "lkrun.core.value_text"

---@class lkrun.Invoker
--- Hands out one task and returns at once. Raises for a task that cannot be sent, and after `shutdown`.
---@field submit fun(self: lkrun.Invoker, task: any): lkrun.Future
--- What the invoker has done so far.
---@field stats fun(self: lkrun.Invoker): lkrun.Stats
--- Ends the workers: they have 100 ms to finish, then they are killed. From then on futures without a
--- result raise. A second call does nothing.
---@field shutdown fun(self: lkrun.Invoker)
local Invoker = core.class.__index

--- The result of a task that was submitted.
---@class lkrun.Future
--- Waits for the result and returns what func returned; raises its error, or after `timeout` seconds.
---@field get fun(self: lkrun.Future, timeout?: number): ...
---@field done fun(self: lkrun.Future): boolean whether the result or an error has arrived
---@field cancel fun(self: lkrun.Future): boolean takes the task back if it has not begun; returns whether it did

---@class lkrun.Stats
---@field tasks integer how many tasks have ended
---@field crashes integer how many workers died
---@field retries integer how often a task was tried again
---@field bytes_sent integer
---@field bytes_received integer
---@field n_jobs integer
---@field seed integer root seed of the tasks' random streams
---@field template integer pid of the process that forks the workers; 0: there is none
---@field workers { pid: integer, tasks: integer, busy: number }[] busy: seconds spent in tasks; pid: 0 for threads,
---  and for a process until the program has heard of it, which it does while a map runs or a future is waited for

---@class lkrun.Options
---@field n_jobs? integer workers; nil: lk.config().processes, or .threads for threads; 1: in place
---@field progress? lkrun.Progress|boolean a display from lk.invoke_progress, or true for a default bar
---@field ordered? boolean results in the order of their tasks (default), or as they finish
---@field on_error? "raise"|"return" a failed task raises, or yields i, nil, err
---@field retries? integer how often a task is tried again when its worker died
---@field timeout? number seconds a task may run
---@field memory_limit? integer bytes of memory of its own that a worker may hold
---@field writable? lkrun.Tensor[] tensors that workers may write; all others are read-only there
---@field seed? integer root seed of the tasks' random streams; nil: drawn once from the system
---@field workers? "processes"|"threads"|"spawn" forked processes, threads, or new processes
---@field trace? string the file for a timeline of this invoker, see docs/trace.md; nil: what LK_TRACE says
---@field worker? table the configuration inside workers: threads, backend_threads, child_threads

-- What an option may be; see lkrun.internal.options.
local rules = {
  n_jobs = { integer = true, least = 1, most = 4096 },
  ordered = { type = "boolean" },
  on_error = { choices = { "raise", "return" } },
  retries = { integer = true, least = 0, most = 1000000 },
  timeout = { above = 0, expected = "seconds, more than 0" },
  memory_limit = { integer = true, least = 1 << 20, expected = "bytes, 1048576 (1 MiB) or more" },
  writable = { type = "table" },
  seed = { integer = true },
  workers = { choices = { "processes", "threads", "spawn" } },
  worker = { type = "table" },
  trace = {
    fits = function(value) return type(value) == "string" and value ~= "" end, expected = "the path of a file",
  },
  progress = {
    fits = function(value) return type(value) == "boolean" or type(value) == "userdata" end,
    expected = "true, or a display from lk.invoke_progress",
  },
}

-- Without options the module that checks them need not be loaded.
local function check_options(where, options)
  if options == nil then return {} end
  return require("lkrun.internal.options").check(where, rules, options)
end

-- Raises for options that only workers with a process of their own can keep.
local function refuse_for_threads(options, where)
  for _, name in ipairs { "timeout", "memory_limit", "retries" } do
    if options[name] and options[name] ~= 0 then
      fail(where, "%s is given for worker threads, which cannot be ended; expected workers that are processes", name)
    end
  end
end

-- Whether an invoker of one job may make a worker process for it, which a limit needs. It may not where the
-- caller asked for one job, which means in place, and not inside a worker, where workers must not multiply.
local function may_have_worker(given)
  return not given and require("lkrun.core.config").sources().processes ~= "worker"
end

local function make(where, model, func, options)
  local callable = type(func) == "function" or (getmetatable(func) or {}).__call
  if not callable then fail(where, "func is %s; expected a function of model and task", value_text.type(func)) end
  local checked = check_options(where, options)
  config.ensure_parallel_init()
  local threads = checked.workers == "threads"
  local given = checked.n_jobs
  checked.n_jobs = given or (threads and config.config().threads or config.proc_count())
  if threads then refuse_for_threads(checked, where) end
  checked.ordered = checked.ordered ~= false
  checked.return_errors = checked.on_error == "return"
  local limited = checked.timeout or checked.memory_limit
  checked.in_place = checked.n_jobs == 1 and not (limited and may_have_worker(given))
  if checked.in_place and limited then
    require("lkrun.log").get("lkrun"):warn(
      "%s: timeout and memory_limit have no effect: they need a worker process, and %s", where,
      given and "n_jobs = 1 runs tasks in place" or "a worker has none of its own unless n_jobs says so")
  end
  return core.new(func, model, checked, errors.new, checked.progress)
end

--- Makes workers that apply func(model, task) to tasks. They are forked: func may capture anything,
--- and what model and func reach is shared, not copied. Close it with `<close>` or `shutdown`.
---@param model any what func gets first; tensors in it are read-only for workers
---@param func fun(model: any, task: any): ... the operation
---@param options? lkrun.Options
---@return lkrun.Invoker
--- Raises for a bad option, and when workers cannot start (no memory, no processes, no descriptors).
local function invoker(model, func, options) return make("lk.invoker", model, func, options) end

-- The tasks as core.map takes them: the four values of a generic `for`, and the length; or a sequence itself
-- and its length.
local function generator(where, tasks, state, control, closing)
  local kind = type(tasks)
  if kind == "function" then return tasks, state, control, closing, -1 end
  local meta = getmetatable(tasks)
  if type(meta) == "table" and meta.__name == "lkrun.WorkChunks" then
    return tasks:tasks(), nil, nil, nil, -1
  end
  if type(meta) == "table" and meta.__call then return tasks, state, control, closing, -1 end
  if kind == "table" then
    local count = rawget(tasks, "n")
    local length = count or #tasks
    if math.type(length) ~= "integer" or length < 0 then
      fail(where, "tasks.n is %s; expected the number of tasks", value_text.brief(length))
    end
    local key = next(tasks)
    if length == 0 and key ~= nil and not count and not meta then
      fail(where, "tasks are a table with nothing at [1] but something at [%s]; expected a sequence",
        value_text.brief(key))
    end
    return tasks, nil, nil, nil, length
  end
  fail(where, "tasks are %s; expected a sequence, an iterator, WorkChunks, or anything with __call",
    value_text.type(tasks))
end

local function check_self(self, name)
  if getmetatable(self) ~= core.class then
    fail("invoker:" .. name, "called on %s; expected inv:%s(tasks), with a colon", value_text.type(self), name)
  end
end

--- Applies func to every task: `for i, result in inv:map(tasks) do`. i is the task's index; all values that
--- func returned follow it. Tasks are pulled as the workers need them.
---@param tasks any a sequence (tasks.n elements if set), an iterator function or the values of a
---  generic `for` (the last value of each step is the task), WorkChunks, or anything with __call
---@param ... any the state, control and closing value of a generic `for`
---@return fun(): integer, ... iterator
function Invoker:map(tasks, ...)
  check_self(self, "map")
  local f, s, control, closing, length = generator("invoker:map", tasks, ...)
  return core.map(self, f, s, control, closing, length)
end

--- The results of a map in a table: results[i] is the first value that task i returned, results.n the number
--- of tasks. With on_error = "return" the errors of failed tasks are in results.errors[i].
---@param tasks any as for map
---@param ... any as for map
---@return table results
function Invoker:collect(tasks, ...)
  check_self(self, "collect")
  local results, errs, count = {}, {}, 0
  for i, result, err in self:map(tasks, ...) do
    results[i] = result
    if err ~= nil and getmetatable(err) == errors.class then errs[i] = err end
    if i > count then count = i end
  end
  results.n = count
  results.errors = errs
  return results
end

--- Maps once: makes an invoker for this map alone, and shuts it down when the loop ends.
---@param model any
---@param func fun(model: any, task: any): ...
---@param tasks any as for invoker:map
---@param options? lkrun.Options
---@return fun(): integer, ... iterator
---@return any ... the other values that a generic `for` needs
local function map(model, func, tasks, options)
  local where = "lk.map"
  local f, s, first, closing, length = generator(where, tasks) -- raises before there is anything to close
  if type(tasks) == "function" and type(options) == "table" and options[1] ~= nil then
    fail(where, "the options are a sequence; expected a table by name (tasks are one value here: wrap the three values "
      .. "of a generic `for` in a function)")
  end
  local inv = make(where, model, func, options)
  local step, state, control, running = core.map(inv, f, s, first, closing, length)
  local close = setmetatable({}, {
    __close = function()
      -- The map is closed after the invoker, even where shutdown raises.
      local closing <close> = running -- luacheck: ignore closing
      inv:shutdown()
    end,
  })
  return step, state, control, close
end

return { invoker = invoker, map = map }

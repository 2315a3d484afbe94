--- One run of lkrun map, from the operation to the output.
require "lkrun" -- makes math.random draw from the task's stream inside a task
local command = require "lkrun.command"
local core = require "lkrun.core.pool"
local failures = require "lkrun.command.map.failures"
local journal = require "lkrun.command.map.journal"
local operation = require "lkrun.command.map.operation"
local log = require("lkrun.log").get "lkrun"
local writer = require "lkrun.rows.writer"
local tasks = require "lkrun.command.map.tasks"

local fail = command.fail

local INPUT <const> = "lkrun.input" -- key in the error that a worker raises for a record it cannot decode

-- What a worker does with a record: decodes it into a task, runs the operation, and encodes its result.
local function worker_function(op, decode, encode)
  local run = op.run
  return function(model, record)
    local task, problem = decode(record)
    if problem then error({ [INPUT] = problem }, 0) end
    return encode((run(model, task)))
  end
end

local function load_model(options)
  if not options.model then return nil end
  return command.attempt("map: --model", 2, require("lkrun.files").load, options.model)
end

-- The pool's message about a lost worker, with options named as on the command line.
local function in_words_of_options(message)
  message = message:gsub("; retries = 1 would", "; --retries 1 would")
  return (message:gsub("its memory_limit of", "its --memory-limit of"))
end

-- The message for a failed task, without "lkrun: map:" before it.
local function describe(run_tasks, err)
  local place = run_tasks:place(err.task)
  local text = tostring(err):gsub("^lkrun: ", "")
  if place then text = text:gsub("^(task[ %[]%d+%]?)", "%1, " .. place:gsub("%%", "%%%%"), 1) end
  return err.traceback and ("%s\nwhere it was raised: %s"):format(text, err.traceback) or text
end

-- Ends the command where the error is about a record that is no task: the file is wrong, not the operation.
local function check_input(run_tasks, err)
  local input = type(err.value) == "table" and err.value[INPUT]
  if not input then return end
  fail(2, "map: %s: %s", run_tasks:place(err.task) or ("%s, task %d"):format(run_tasks.source.name, err.task), input)
end

local function invoker_options(options, seed, progress, ordered)
  if options.jobs == 1 and (options.timeout or options.memory_limit) then
    log:warn("map: --timeout and --memory-limit have no effect with --jobs 1, which runs the tasks in lkrun itself; "
      .. "expected --jobs 2 or no --jobs")
    options.timeout, options.memory_limit = nil, nil
  end
  return {
    n_jobs = options.jobs,
    seed = seed,
    ordered = ordered,
    retries = options.retries,
    timeout = options.timeout,
    memory_limit = options.memory_limit,
    on_error = "return",
    progress = progress,
  }
end

local function make_progress(options, count)
  if options.quiet then return nil end
  if options.output ~= "-" then -- a display that watches LK_PROGRESS_DIR knows the job by it
    local known, job = pcall(require "lkrun.json".encode, { outputs = { options.output } })
    if known then require "lkrun.core.progress".set_job(job) end -- else the name is not UTF-8
  end
  local label = options.operation:match "([^/]*)$":gsub("%.lua$", "")
  return require("lkrun.progress").invoke_progress { label = label, total = count }
end

-- Says what would be done, before anything is made.
local function dry_run(options, op, run_tasks)
  local range = "until standard input ends"
  if run_tasks.count then
    range = run_tasks.count == run_tasks.total and ("%d"):format(run_tasks.count)
      or ("%d of %d, from %d to %d"):format(run_tasks.count, run_tasks.total, run_tasks.first, run_tasks.last)
  end
  local columns = op.columns and ", columns " .. table.concat(op.columns, ", ") or ""
  print(("operation: %s%s"):format(options.operation, columns))
  print(("model:     %s"):format(options.model or "none"))
  print(("tasks:     %s (%s): %s"):format(run_tasks.source.name, options.tasks_format, range))
  print(("output:    %s (%s)"):format(options.output, options.output_format))
  print(("jobs:      %d"):format(options.jobs or require("lkrun.config").proc_count()))
  return 0
end

-- Hands on what a task gave: its rows to `keep`, or its error (nil and then the error) to the failures.
local function settle(options, run_tasks, failed, number, bytes, more, keep)
  if bytes == nil and more ~= nil then
    check_input(run_tasks, more)
    if more.reason ~= "error" then more.message = in_words_of_options(more.message) end
    if options.on_error ~= "skip" then fail(1, "map: %s", describe(run_tasks, more)) end
    failed:add(number, more)
  else
    keep(number, bytes, more)
  end
  failed:forget(number)
end

local function add_to(output)
  return function(number, bytes, signature)
    if not bytes then return end
    local done, problem, is_unfit = output:add(bytes, signature)
    if done then return end
    fail(1, "map: %s%s", is_unfit and ("the result of task %d: "):format(number) or "", problem)
  end
end

local GRACE <const> = 0.5 -- seconds that running tasks may still take when the run ends early

local function is_interruption(err) return type(err) == "string" and err:find "interrupted$" ~= nil end

-- When a run with a journal ends early: keeps the results of the tasks that run and end within GRACE.
local function wind_up(inv, step, kept)
  core.wind_up(inv, GRACE)
  -- The error that ended the loop, such as an interruption, may be raised again here.
  pcall(function()
    for number, bytes, signature in step do
      -- A failed task, which gives nil and its error, stays to be done.
      if bytes ~= nil or signature == nil then kept:add(number, bytes, signature) end
    end
  end)
end

-- Runs the tasks and hands each result to `keep`.
local function work(options, run_tasks, failed, inv, kept, keep)
  local each = failed:watch(kept and kept:watch(run_tasks:each()) or run_tasks:each())
  local step, _, _, closing = core.map(inv, each, nil, nil, nil, -1, true)
  local _ <close> = closing
  local good, err = pcall(function()
    for number, bytes, more in step do settle(options, run_tasks, failed, number, bytes, more, keep) end
  end)
  if good then return end
  if kept then wind_up(inv, step, kept) end
  if not is_interruption(err) then error(err, 0) end
  if not kept then fail(1, "map: interrupted") end
  kept:stop()
  fail(1, "map: interrupted; the results so far are in %s, for --resume", kept.path)
end

local run = {}

--- Does what the command line asks for; returns the exit status.
---@param options table
---@return integer
function run.run(options)
  local kept <close> = not options.dry_run and journal.open(options) or nil
  local args = options.op_args and options.op_args.value
  local op = operation.load(options.operation, args)
  local run_tasks <close> = tasks.open(options)
  if options.dry_run then return dry_run(options, op, run_tasks) end
  local model = load_model(options)
  if op.setup then
    local made = op.setup(model, args)
    if made ~= nil then model = made end
  end
  local seed, left = options.seed, run_tasks.count
  if kept then
    if not left then fail(2, "map: --resume: %s can't be read once more; expected a file", options.tasks) end
    kept:begin(options)
    seed, left = kept.seed, left - kept.done
  end
  local encode = writer.encoder(options.output_format, op.columns)
  local output <close> = command.attempt("map", 2, writer.open, options.output, options.output_format, op.columns)
  local failed <close> = failures.open(options, run_tasks)
  local put = add_to(output)
  do
    local progress <close> = make_progress(options, left)
    local inv <close> = require("lkrun.invoker").invoker(model,
      worker_function(op, run_tasks.source.decode, encode), invoker_options(options, seed, progress, not kept))
    if kept then kept:run() end
    work(options, run_tasks, failed, inv, kept, kept and function(...) kept:add(...) end or put)
  end
  if kept then
    for number, bytes, signature in kept:results(run_tasks.first, failed.numbers) do put(number, bytes, signature) end
  end
  command.check("map", output:commit())
  if kept and failed.count == 0 then kept:remove() end
  return failed:commit()
end

return run

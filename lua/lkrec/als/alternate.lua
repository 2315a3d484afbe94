--- The part of alternating least squares that its models share. The factors of the users are solved with those
--- of the items fixed, then the other way round, in worker threads that write rows of the shared factor
--- matrices. No two tasks write the same row, and a row does not depend on the other rows of its task: so the
--- result is the same for every number of workers.
local lk = require "lkrun"
local fail = require "lkrun.internal.fail"

---@class lkrec.als.Side
---@field own lkrun.Tensor # [rows, factors]: what is solved
---@field draw? fun(rows: lkrun.Tensor) # fills rows at random, to begin with; only the items' side needs it
---@field prepare? fun(side: lkrec.als.Side) # called in the program, before the rows are solved
---@field solve fun(side: lkrec.als.Side, first: integer, last: integer) # solves a range of rows, in a worker

-- The operation. A task is a range of rows of one side, to be solved or, at the start, drawn at random.
local function work(sides, task)
  local side = sides[task.side]
  if task.draw then
    side.draw(side.own:narrow(1, task.first, task.last - task.first + 1))
  else
    side.solve(side, task.first, task.last)
  end
end

local function tasks_for(name, count, draw)
  local tasks = {}
  for chunk in lk.WorkChunks.create(count):tasks() do
    tasks[#tasks + 1] = { side = name, first = chunk[1], last = chunk[2], draw = draw }
  end
  return tasks
end

-- Raises unless the items' factors may start with these.
local function check_initial(initial, own, where)
  local found = require("lkrun.core.value_text").type(initial)
  if lk.tensor.is(initial) then
    local shape = initial:size()
    if #shape == 2 and shape[1] == own:size(1) and shape[2] == own:size(2) then return end
    found = ("a tensor of [%s]"):format(table.concat(shape, ", "))
  end
  fail(where, "initial is %s; expected a tensor of [%d, %d]", found, own:size(1), own:size(2))
end

--- Solves both sides in turn, `options.epochs` times, beginning with the users; the items begin with
--- `options.initial`, or at random.
---@param where string # the training function, for messages
---@param sides {users: lkrec.als.Side, items: lkrec.als.Side}
---@param options table # epochs, initial, seed, n_jobs, progress: as the training functions have them
---@param prepared? lkrun.Tensor[] # tensors that `prepare` writes
local function alternate(where, sides, options, prepared)
  local users, items = sides.users.own:size(1), sides.items.own:size(1)
  if options.initial then check_initial(options.initial, sides.items.own, where) end
  local bar <close> = options.progress == true and lk.invoke_progress {
    label = "ALS", total = options.epochs * (users + items), unit = "rows",
  } or nil
  local progress = bar or options.progress or nil
  local writable = table.move(prepared or {}, 1, #(prepared or {}), 3, { sides.users.own, sides.items.own })
  local invoker <close> = lk.invoker(sides, work, {
    n_jobs = options.n_jobs, workers = "threads", seed = options.seed, writable = writable,
  })
  local function run(tasks, shown)
    for i in invoker:map(tasks) do
      if shown then shown:update(tasks[i].last - tasks[i].first + 1) end
    end
  end
  if options.initial then
    sides.items.own:copy(options.initial)
  else
    run(tasks_for("items", items, true))
  end
  local tasks = { users = tasks_for("users", users), items = tasks_for("items", items) }
  for _ = 1, options.epochs do
    for _, name in ipairs { "users", "items" } do
      local side = sides[name]
      if side.prepare then side.prepare(side) end
      run(tasks[name], progress)
    end
  end
end

return alternate

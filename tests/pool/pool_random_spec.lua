-- Any mixture of tasks, options and accidents gives what the program itself would compute. Each round is
-- drawn from a seed, which the name of a failure tells; LKRUN_ROUNDS=1000 draws more of them.
local lk = require "lkrun"
local region = require "lkrun.core.region"

local ROUNDS = math.tointeger(tonumber(os.getenv "LKRUN_ROUNDS" or 24))
local FACTOR <const> = 3

local function text_length(i) return i * 104729 % 200000 end
local function tensor_length(i) return i * 31 % 20000 + 1 end

-- Task i of every kind: a number, a string, a table with a long one, a table with a tensor.
local kinds = {
  function(i) return i end,
  function(i) return ("s"):rep(i * 7919 % 3000) .. i end,
  function(i) return { i, ("x"):rep(text_length(i)) } end,
  function(i) return { i, lk.tensor.full({ tensor_length(i) }, i) } end,
}

local function number_of(task)
  if type(task) == "table" then return task[1] end
  return type(task) == "string" and math.tointeger(tonumber(task:match "%d+$")) or task
end

local function check_task(i, task)
  if type(task) ~= "table" then
    assert(number_of(task) == i, "another task")
  elseif type(task[2]) == "string" then
    assert(task[1] == i and #task[2] == text_length(i), "another text")
  else
    assert(task[2]:numel() == tensor_length(i) and task[2]:sum() == i * tensor_length(i), "another tensor")
  end
end

local function spin(seconds)
  local finish = lk.clock() + seconds
  while lk.clock() < finish do end
end

-- The operation of a round: how long it takes, which tasks fail, which kill their worker at times.
local function operation(plan, deaths)
  return function(model, task)
    local i = number_of(task)
    if plan.kill_every and i % plan.kill_every == 0 then
      deaths:set(1, deaths:get(1) + 1)
      if deaths:get(1) % 3 ~= 0 then
        os.execute "kill -KILL $PPID"
        while true do end
      end
    end
    if plan.work == "uneven" then spin(i % 5 * 1e-4) end
    if plan.work == "rarely long" and i % 50 == 0 then spin(5e-3) end
    if plan.fail_every and i % plan.fail_every == 0 then error("bad " .. i, 0) end
    return i * model.factor, lk.random(1 << 30), task
  end
end

local function check_result(plan, i, result, other, task)
  if plan.fail_every and i % plan.fail_every == 0 then
    assert(result == nil and other.message == "bad " .. i, tostring(other))
  else
    assert(result == FACTOR * i, tostring(other))
    check_task(i, task)
  end
end

local function check_future(plan, future, i, choice)
  if choice == 1 and future:cancel() then
    assert(not pcall(future.get, future))
  elseif choice > 1 then
    local ok, value = pcall(future.get, future)
    local fails = plan.fail_every and i % plan.fail_every == 0
    assert(ok == not fails, tostring(value))
    assert(fails and value.message == "bad " .. i or value == FACTOR * i, tostring(value))
  end
end

-- One map, with a task submitted beside it from time to time, and perhaps ended early. Returns the random numbers
-- that its tasks drew.
local function run_map(inv, plan, draw)
  local total = draw:integer(4) == 1 and draw:integer(2000) or draw:integer(200)
  local stop_at = draw:integer(3) == 1 and draw:integer(total)
  local futures, seen, drawn = {}, {}, {}
  local pulled, delivered = 0, 0
  local function submit_at_times(i)
    if draw:integer(60) == 1 then futures[#futures + 1] = { inv:submit(i), i } end
  end
  for i, result, other, task in inv:map(function()
    pulled = pulled + 1
    if pulled > total then return nil end
    submit_at_times(pulled + 1000000)
    return kinds[plan.kind or pulled % #kinds + 1](pulled)
  end) do
    delivered = delivered + 1
    assert(not seen[i], "a task came twice")
    assert(not plan.ordered or i == delivered, "a task came out of order")
    seen[i] = true
    check_result(plan, i, result, other, task)
    drawn[i] = result and other
    submit_at_times(i + 2000000)
    if stop_at == delivered then break end
  end
  assert(stop_at or delivered == total, "tasks are missing")
  for _, future in ipairs(futures) do check_future(plan, future[1], future[2], draw:integer(3)) end
  return drawn
end

local function run_round(seed)
  local draw = lk.random.stream(seed)
  local plan = {
    n_jobs = draw:integer(6),
    ordered = draw:integer(2) == 1,
    kind = draw:integer(2) == 1 and draw:integer(#kinds) or nil,
    work = ({ "none", "uneven", "rarely long" })[draw:integer(3)],
    fail_every = draw:integer(3) == 1 and draw:integer(2, 30) or nil,
  }
  plan.kill_every = plan.n_jobs > 1 and draw:integer(3) == 1 and draw:integer(20, 60) or nil
  local deaths = lk.tensor.zeros { 1 }
  local model = { factor = FACTOR }
  local inv <close> = lk.invoker(model, operation(plan, deaths), {
    n_jobs = plan.n_jobs, ordered = plan.ordered, on_error = "return", seed = seed, writable = { deaths },
    retries = (plan.kill_every or draw:integer(2) == 1) and 100 or 0,
  })
  local alone <close> = lk.invoker(model, function() return lk.random(1 << 30) end, { n_jobs = 1, seed = seed })
  for _ = 1, draw:integer(3) do
    local drawn = run_map(inv, plan, draw)
    local expected, i = {}, 0
    for k, value in alone:map(function() i = i + 1 return i <= 2000 and i or nil end) do expected[k] = value end
    for k, value in pairs(drawn) do assert(not value or value == expected[k], "other random numbers") end
  end
end

describe("a pool", function()
  for round = 1, ROUNDS do
    it(("gives what the program would, seed %d"):format(round), function() run_round(round) end)
  end

  it("has given all memory back", function()
    collectgarbage()
    collectgarbage()
    assert.equal(0, region.use().used)
  end)
end)

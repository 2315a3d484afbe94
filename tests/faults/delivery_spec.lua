-- Delivery is exactly once, whatever happens to the workers: every result once, in order, with the
-- values of the sequential run. LKRUN_SOAK = 1 makes it a million tasks (make soak).
local lk = require "lkrun"
local setup = require "tests.faults.setup"
local fault, clean = setup.fault, setup.clean

local TASKS = os.getenv "LKRUN_SOAK" and 1000000 or 100000
local KILLS = 100

-- What a task gives depends on the task alone, and on its random numbers. It takes some microseconds,
-- so that most kills hit a worker in a task.
local function work(model, n)
  local hash = n
  for i = 1, n % 97 * 20 do hash = hash * 31 + i & 0xffff end
  return n * model.factor + hash * 0, lk.random(1000000), n % 1000 == 0 and ("x"):rep(n // 10 % 100000) or nil
end

local function tasks_up_to(last)
  return function(_, n)
    n = (n or 0) + 1
    return n <= last and n or nil
  end
end

-- Goes through a map and kills a worker, chosen at random, KILLS times at random results.
-- Gives the number of kills that went out.
local function run(inv, each)
  local kills = 0
  local index, due = 0, math.random(TASKS // KILLS)
  for i, a, b, c in inv:map(tasks_up_to(TASKS)) do
    index = index + 1
    each(index, i, a, b, c)
    if kills < KILLS and index >= due then
      local workers = inv:stats().workers
      local pid = workers[math.random(#workers)].pid
      -- The worker may have just died, and the one that replaces it not have started: then wait for the next result.
      if pid > 0 and fault.kill(pid, "KILL") then
        kills, due = kills + 1, due + math.random(TASKS // KILLS)
      end
    end
  end
  assert.equal(TASKS, index)
  return kills
end

local expected -- what the sequential run gives, as one sum for each block of results, to keep the table small
local function add(sums, i, a, b, c)
  local block = i // 1000
  sums[block] = (sums[block] or 0) * 31 + a * 7 + b + (c and #c or 0)
end

describe("workers killed at random, with retries", function()
  lazy_setup(function()
    expected = {}
    local inv <close> = lk.invoker({ factor = 3 }, work, { n_jobs = 1, seed = 42 })
    for i, a, b, c in inv:map(tasks_up_to(TASKS)) do add(expected, i, a, b, c) end
  end)

  it("give every result once, in order", clean(function()
    local inv <close> = lk.invoker({ factor = 3 }, work, { n_jobs = 2, seed = 42, retries = 1000 })
    local sums = {}
    local kills = run(inv, function(index, i, a, b, c)
      if i ~= index then error(("result %d came in place of %d"):format(i, index)) end
      add(sums, i, a, b, c)
    end)
    assert.equal(KILLS, kills)
    assert.same(expected, sums)
  end))

  it("give every result once, as they finish", clean(function()
    local inv <close> = lk.invoker({ factor = 3 }, work, { n_jobs = 3, seed = 42, retries = 1000, ordered = false })
    local values = {}
    local kills = run(inv, function(_, i, a, b, c)
      if values[i] then error(("result %d came twice"):format(i)) end
      values[i] = a * 7 + b + (c and #c or 0)
    end)
    assert.equal(KILLS, kills)
    local sums = {}
    for i = 1, TASKS do
      local block = i // 1000
      sums[block] = (sums[block] or 0) * 31 + values[i]
    end
    assert.same(expected, sums)
  end))
end)

describe("workers killed at random, without retries", function()
  -- On a busy machine all the kills from outside may hit workers between tasks, so some tasks kill their worker.
  local BETWEEN <const> = 10000
  local function fragile(model, n)
    if n % BETWEEN == 0 then fault.kill(fault.pid(), "KILL") end
    return work(model, n)
  end

  for _, ordered in ipairs { true, false } do
    it(ordered and "fail exactly the blamed tasks, in order" or "fail exactly the blamed tasks, as they finish",
      clean(function()
        local inv <close> = lk.invoker({ factor = 3 }, fragile, { n_jobs = 2, on_error = "return", seed = 42,
          ordered = ordered })
        local seen, failed = {}, 0
        local kills = run(inv, function(index, i, a, b)
          if ordered and i ~= index or seen[i] then error(("result %d out of place"):format(i)) end
          seen[i] = true
          if a == nil then
            failed = failed + 1
            assert.equal("signal", b.reason)
            assert.equal(9, b.signal)
            assert.equal(i, b.task)
          elseif i % BETWEEN == 0 then
            error(("task %d outlived its worker"):format(i))
          elseif a ~= i * 3 then
            error(("result %d is wrong"):format(i))
          end
        end)
        assert.equal(KILLS, kills)
        assert.equal(failed, inv:stats().crashes)
        assert.is_true(failed <= kills + TASKS // BETWEEN)
      end))
  end
end)

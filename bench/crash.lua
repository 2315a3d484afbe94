-- crash: task 500 of 1,000 kills its worker. Measures how many results are delivered, how many tasks are named as
-- failed, and how much longer the map takes than without a death; then the same with retries = 1.
local lk = require "lkrun"
local bare = require "bare"
local measure = require "measure"

local COUNT <const> = 1000
local tasks = {}
for i = 1, COUNT do tasks[i] = i end

-- flag: element 1 says whether task 500 has killed its worker already, so that the second try succeeds.
local flag = lk.tensor.zeros { 1 }
local kills = { never = 0, once = 1, always = math.huge }

local function operation(model, task)
  if task == 500 and flag:get(1) < kills[model.kill] then
    flag:set(1, flag:get(1) + 1)
    bare.die()
  end
  return task
end

local function run(kill, retries, delivered, named)
  return function()
    flag:set(1, 0)
    local inv <close> = lk.invoker({ kill = kill }, operation,
      { n_jobs = 2, on_error = "return", retries = retries, writable = { flag } })
    for _ in inv:map { 1, 2, 3, 4 } do end -- afterwards the workers are running
    local start, results, errors = lk.clock(), 0, 0
    for i, result, err in inv:map(tasks) do
      if result == i then results = results + 1 end
      if err then
        assert(i == 500 and err.reason == "signal" and err.task == 500, tostring(err))
        errors = errors + 1
      end
    end
    local seconds = lk.clock() - start
    delivered[#delivered + 1], named[#named + 1] = results, errors
    return seconds
  end
end

local delivered, named, retried, retried_named = {}, {}, {}, {}
local seconds = measure.rounds(11, {
  without = run("never", 0, {}, {}),
  crash = run("always", 0, delivered, named),
  retry = run("once", 1, retried, retried_named),
})
local function lost(with)
  return measure.each(with, seconds.without, function(a, b) return (a - b) * 1e3 end)
end
measure.report("crash.delivered", delivered, ">= 999")
measure.report("crash.named", named, ">= 1")
measure.report("crash.lost.ms", lost(seconds.crash), "<= 20")
measure.report("crash.ms", measure.scaled(seconds.crash, 1e3))
measure.report("crash.retries.delivered", retried, ">= 1000")
measure.report("crash.retries.lost.ms", lost(seconds.retry), "<= 20")

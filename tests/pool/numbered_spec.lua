-- Maps whose generator numbers the tasks, as those of a shard, or of a run that goes on, are.
local core = require "lkrun.core.pool"
local lk = require "lkrun"

describe("a numbered map", function()
  local function draw(_, task)
    if task == "bad" then error("bad", 0) end
    return task, math.random(1 << 40)
  end

  -- The result for each of `numbers`, whose task is its text, and the order in which the results came.
  local function run(numbers, options, task_of)
    options.seed, options.on_error = 3, "return"
    local inv <close> = lk.invoker(nil, draw, options)
    local at, order, results = 0, {}, {}
    local function each()
      at = at + 1
      if not numbers[at] then return nil end
      return numbers[at], task_of and task_of(numbers[at]) or tostring(numbers[at])
    end
    for number, task, drawn in core.map(inv, each, nil, nil, nil, -1, true) do
      order[#order + 1] = number
      results[number] = task and { task, drawn } or tostring(drawn)
    end
    return order, results
  end

  local function range(first, last, step)
    local numbers = {}
    for i = first, last, step or 1 do numbers[#numbers + 1] = i end
    return numbers
  end

  for _, jobs in ipairs { 1, 2, 3 } do
    for _, ordered in ipairs { true, false } do
      it(("draws what the whole draws, with %d jobs, ordered %s"):format(jobs, ordered), function()
        local _, whole = run(range(1, 3000), { n_jobs = 2 })
        for _, first in ipairs { 1, 2, 1000, 2999 } do
          local order, part = run(range(first, 3000), { n_jobs = jobs, ordered = ordered })
          assert.equal(3001 - first, #order)
          for i = first, 3000 do assert.same(whole[i], part[i]) end
          if ordered then assert.same(range(first, 3000), order) end
        end
      end)
    end

    it(("may have gaps where it is not ordered, with %d jobs"):format(jobs), function()
      local _, whole = run(range(1, 3000), { n_jobs = 2 })
      local numbers = range(7, 3000, 3)
      local order, part = run(numbers, { n_jobs = jobs, ordered = false })
      table.sort(order)
      assert.same(numbers, order)
      for _, i in ipairs(numbers) do assert.same(whole[i], part[i]) end
    end)

    it(("names tasks by their numbers in errors, with %d jobs"):format(jobs), function()
      local function task_of(i) return i == 777 and "bad" or tostring(i) end
      local _, results = run(range(500, 900), { n_jobs = jobs }, task_of)
      assert.matches("task 777", results[777])
      assert.same("776", results[776][1])
    end)
  end

  it("raises for numbers that do not grow, or have gaps where it is ordered", function()
    assert.has_error(function() run({ 1, 2, 4 }, { n_jobs = 2 }) end, "the tasks are not numbered in order")
    assert.has_error(function() run({ 1, 2, 2 }, { n_jobs = 2, ordered = false }) end,
      "the tasks are not numbered in order")
  end)

  it("that is wound up drops what has not begun, and does not wait for what never ends", function()
    local inv <close> = lk.invoker(nil, function(_, task)
      while task == 1 do end
      return task
    end, { n_jobs = 2, ordered = false })
    local at, seen = 0, {}
    local step = core.map(inv, function()
      at = at + 1
      return at, at
    end, nil, nil, nil, -1, true)
    seen[step()] = true
    core.wind_up(inv, 0.1)
    local pulled = at
    for number in step do seen[number] = true end
    assert.equal(pulled, at)
    assert.is_nil(seen[1])
  end)
end)

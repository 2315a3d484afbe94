-- How a map ends: to its end, by break, an error or a shutdown, and what comes after it.
local lk = require "lkrun"
local await = require "tests.support.await"
local invoker_of = require "tests.support.invoker_of"

local function double(_, task) return 2 * task end

-- Everything here holds for any number of jobs, in place included.
for _, n_jobs in ipairs { 1, 2, 4 } do
  local invoker = invoker_of(n_jobs)

  describe(("the end of a map, n_jobs = %d:"):format(n_jobs), function()
    it("a second map follows the first", function()
      local inv <close> = invoker(double)
      for round = 1, 20 do assert.same({ n = 2, errors = {}, 2 * round, 4 }, inv:collect { round, 2 }) end
    end)

    it("a second map while the first runs is refused, and does not disturb it", function()
      local inv <close> = invoker(double)
      local sum = 0
      for _, result in inv:map { 1, 2, 3 } do
        assert.error_matches(function() inv:map { 9 } end,
          "^lkrun: invoker:map: a map of this invoker is running; finish its loop first, or make a second invoker$")
        sum = sum + result
      end
      assert.equal(12, sum)
    end)

    it("break, then another map", function()
      local inv <close> = invoker(double)
      for round = 1, 20 do
        for i in inv:map(function() return round end) do
          if i == round then break end
        end
      end
      assert.same({ n = 3, errors = {}, 2, 4, 6 }, inv:collect { 1, 2, 3 })
    end)

    it("an error in the loop, then another map", function()
      local inv <close> = invoker(double)
      assert.error_matches(function()
        for i in inv:map(function() return 1 end) do
          if i == 3 then error "enough" end
        end
      end, "enough")
      assert.equal(4, inv:collect { 2 }[1])
    end)

    it("what has not begun when the loop breaks never runs", function()
      local ran, release = lk.tensor.zeros { 64 }, lk.tensor.zeros { 1 }
      local inv <close> = invoker(function(_, task)
        ran:set(task, 1)
        if task > 1 then await(function() return release:get(1) == 1 end, "the end of the loop") end
        return task
      end, { writable = { ran, release } })
      local pulled = 0
      if n_jobs == 1 then release:set(1, 1) end
      for i in inv:map(function()
        pulled = pulled + 1
        return pulled
      end) do
        if i == 1 then break end
      end
      release:set(1, 1)
      assert.equal(0, #inv:collect {})
      local results = inv:collect { 64 }
      assert.equal(64, results[1])
      local begun = 0
      for i = 1, 63 do begun = begun + ran:get(i) end
      assert.is_true(begun <= n_jobs + 1, ("%d tasks ran"):format(begun))
    end)

    it("the closing value of a generic for is closed once, however the loop ends", function()
      local inv <close> = invoker(function(_, task)
        if task == "bad" then error "bad" end
        return task
      end)
      local closed
      local function guarded(tasks)
        closed = 0
        local guard = setmetatable({}, { __close = function() closed = closed + 1 end })
        return inv:map(ipairs(tasks), tasks, 0, guard)
      end
      for _ in guarded { 1, 2 } do assert.equal(0, closed) end
      assert.equal(1, closed)
      for i in guarded { 1, 2 } do if i == 1 then break end end
      assert.equal(1, closed)
      assert.error(function() for _ in guarded { 1, "bad", 2 } do end end)
      assert.equal(1, closed)
    end)

    it("shutting down in the loop ends the loop", function()
      local inv = invoker(double)
      local count = 0
      for i in inv:map(function() return 1 end) do
        count = i
        if i == 2 then inv:shutdown() end
      end
      assert.equal(2, count)
      assert.error_matches(function() inv:map {} end,
        "^lkrun: invoker: it has been shut down; make a new one with lk.invoker$")
    end)

    it("shutting down in the generator ends the loop", function()
      local inv = invoker(double)
      local count = 0
      for _ in inv:map(function()
        count = count + 1
        if count == 3 then inv:shutdown() end
        return 1
      end) do end
      assert.equal(3, count)
    end)

    it("a step after the end gives nothing", function()
      local inv <close> = invoker(double)
      local step = inv:map { 1 }
      assert.same({ 1, 2 }, { step() })
      assert.equal(0, select("#", step()))
      assert.equal(0, select("#", step()))
      assert.equal(4, inv:collect { 2 }[1])
    end)
  end)
end

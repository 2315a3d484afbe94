local lk = require "lkrun"
local await = require "tests.support.await"
local invoker_of = require "tests.support.invoker_of"

local function double(_, task) return 2 * task end
local function echo(_, ...) return ... end

-- The values of each step of a map, as { n =, i, ... }.
local function steps_of(step, state, control, closing)
  local steps = {}
  local guard <close> = closing -- luacheck: ignore guard
  while true do
    local step_values = table.pack(step(state, control))
    if step_values[1] == nil then return steps end
    control = step_values[1]
    steps[#steps + 1] = step_values
  end
end

local function spin(seconds)
  local finish = lk.clock() + seconds
  while lk.clock() < finish do end
end

-- Everything here holds for any number of jobs, in place included.
for _, n_jobs in ipairs { 1, 2, 4 } do
  local invoker = invoker_of(n_jobs)

  -- What a map over these tasks gives, each task being its own result.
  local function echoed(...)
    local inv <close> = invoker(echo)
    return inv:collect(...)
  end

  describe(("a map, n_jobs = %d,"):format(n_jobs), function()
    describe("tasks:", function()
      it("a sequence", function()
        assert.same({ n = 3, errors = {}, "a", 2.5, false }, echoed { "a", 2.5, false })
      end)

      it("a sequence with n, whose length # does not tell", function()
        local tasks = { n = 3, 1, lk.null, 3, 4, 5 }
        assert.same({ n = 3, errors = {}, 1, lk.null, 3 }, echoed(tasks))
        assert.same({ n = 0, errors = {} }, echoed { n = 0, 1, 2 })
      end)

      it("a sequence that computes its elements", function()
        local squares = setmetatable({}, {
          __len = function() return 4 end,
          __index = function(_, i) return i * i end,
        })
        assert.same({ n = 4, errors = {}, 1, 4, 9, 16 }, echoed(squares))
      end)

      it("none at all", function()
        local inv <close> = invoker(echo)
        for _ = 1, 3 do
          assert.same({ n = 0, errors = {} }, inv:collect {})
          assert.same({ n = 0, errors = {} }, inv:collect(function() end))
        end
        assert.same({ n = 1, errors = {}, 7 }, inv:collect { 7 })
      end)

      it("an iterator function", function()
        local i = 0
        assert.same({ n = 5, errors = {}, 1, 2, 3, 4, 5 }, echoed(function()
          i = i + 1
          return i <= 5 and i or nil
        end))
      end)

      it("false, which does not end an iterator", function()
        local tasks, i = { false, true, false }, 0
        assert.same({ n = 3, errors = {}, false, true, false }, echoed(function()
          i = i + 1
          return tasks[i]
        end))
      end)

      it("the values of a generic for, the last of each step", function()
        local set = { a = 1, b = 2, c = 3, d = 4 }
        local expected = {}
        for _, value in pairs(set) do expected[#expected + 1] = value end
        expected.n, expected.errors = 4, {}
        assert.same(expected, echoed(pairs(set)))
        assert.same({ n = 2, errors = {}, "x", "y" }, echoed(ipairs { "x", "y", nil, "z" }))
        assert.same({ n = 2, errors = {}, "1", "23" }, echoed(("1,23"):gmatch "%d+"))
      end)

      it("the lines of a file, which is closed at the end", function()
        local path = os.tmpname()
        finally(function() os.remove(path) end)
        local file = assert(io.open(path, "w"))
        file:write "one\ntwo\nthree\n"
        file:close()
        assert.same({ n = 3, errors = {}, "one", "two", "three" }, echoed(io.lines(path)))
        local f, s, c, lines = io.lines(path)
        local inv <close> = invoker(echo)
        for _ in inv:map(f, s, c, lines) do if lines then break end end
        assert.equal("closed file", io.type(lines))
      end)

      it("work chunks", function()
        local sum = 0
        local inv <close> = invoker(function(_, chunk) return chunk[2] - chunk[1] + 1, chunk[1] end)
        local first = 1
        for _, jobs, start in inv:map(lk.WorkChunks.create(1234)) do
          assert.equal(first, start)
          first = first + jobs
          sum = sum + jobs
        end
        assert.equal(1234, sum)
        assert.same({ n = 0, errors = {} }, inv:collect(lk.WorkChunks.create(0)))
      end)

      it("anything with __call", function()
        local counter = setmetatable({ i = 0 }, {
          __call = function(self)
            self.i = self.i + 1
            if self.i <= 3 then return self.i end
          end,
        })
        assert.same({ n = 3, errors = {}, 1, 2, 3 }, echoed(counter))
      end)

      it("the results of another map", function()
        local first <close> = invoker(double)
        local second <close> = invoker(double)
        assert.same({ n = 3, errors = {}, 4, 8, 12 }, second:collect(first:map { 1, 2, 3 }))
      end)

      it("lk.null, where nil is an error in its place", function()
        local inv <close> = invoker(function(_, task) return task == lk.null end, { on_error = "return" })
        local results = inv:collect { n = 3, lk.null, nil, 3 }
        assert.equal(true, results[1])
        assert.equal(false, results[3])
        assert.equal("task[2]: nil cannot be sent; lk.null can", results.errors[2].message)
        assert.equal(2, results.errors[2].task)
        results = inv:collect(ipairs {})
        assert.equal(0, results.n)
      end)

      it("nothing that cannot give tasks", function()
        local inv <close> = invoker(echo)
        for _, tasks in ipairs { 5, "text", true, io.stdout } do
          assert.error_matches(function() inv:map(tasks) end,
            "^lkrun: invoker:map: tasks are a [^;]+; expected a sequence, an iterator")
        end
        assert.error_matches(function() inv:map() end, "tasks are nil; expected")
        assert.error_matches(function() inv:map { a = 1 } end, "nothing at %[1%] but something at %['a'%]")
        for _, name in ipairs { "map", "collect" } do
          assert.error_matches(function() inv[name] { 1 } end, "called on a table; expected inv:" .. name)
        end
        assert.error_matches(function() inv:map { n = -1 } end, "tasks.n is %-1; expected the number of tasks")
        assert.error_matches(function() inv:map { n = "3" } end, "tasks.n is '3'; expected the number of tasks")
        assert.equal(1, inv:collect { 1 }[1])
      end)
    end)

    describe("results:", function()
      it("every value that func returned follows the index", function()
        local counts = { [0] = {}, { 1 }, { 1, 2 }, { n = 1 }, { n = 3, nil, nil, 3 }, { n = 250 } }
        local inv <close> = invoker(function(_, task)
          local values = counts[task]
          return table.unpack(values, 1, values.n or #values)
        end)
        local tasks = { 0, 1, 2, 3, 4, 5 }
        local steps = steps_of(inv:map(tasks))
        assert.equal(6, #steps)
        for i, task in ipairs(tasks) do
          local values = counts[task]
          assert.equal(i, steps[i][1])
          assert.equal(1 + (values.n or #values), steps[i].n)
          for k = 1, steps[i].n do assert.equal(values[k], steps[i][k + 1]) end
        end
      end)

      it("are in the order of the tasks, however long those take", function()
        local inv <close> = invoker(function(_, task)
          spin(task % 3 * 1e-3)
          return -task
        end)
        local tasks = {}
        for i = 1, 60 do tasks[i] = i * 7 end
        local expected = 1
        for i, result in inv:map(tasks) do
          assert.equal(expected, i)
          assert.equal(-7 * i, result)
          expected = expected + 1
        end
        assert.equal(61, expected)
      end)

      it("come with ordered = false each once, with its own index", function()
        local inv <close> = invoker(function(_, task) return -task end, { ordered = false })
        local seen, count = {}, 0
        local tasks = {}
        for i = 1, 5000 do tasks[i] = i * 3 end
        for i, result in inv:map(tasks) do
          if seen[i] or result ~= -3 * i then error(("result %s of task %s"):format(result, i)) end
          seen[i] = true
          count = count + 1
        end
        assert.equal(5000, count)
      end)

      it("are collected: the first value of each, and their number", function()
        local inv <close> = invoker(function(_, task)
          if task == 2 then return end
          return task * 10, "second"
        end)
        assert.same({ n = 3, errors = {}, 10, nil, 30 }, inv:collect { 1, 2, 3 })
      end)

      it("are collected in their places when unordered", function()
        local inv <close> = invoker(function(_, task)
          spin((4 - task) * 2e-3)
          return task
        end, { ordered = false })
        assert.same({ n = 4, errors = {}, 1, 2, 3, 4 }, inv:collect { 1, 2, 3, 4 })
      end)

      it("of many small tasks", function()
        local inv <close> = invoker(double)
        local pulled, total = 0, 300000
        local expected = 0
        for i, result in inv:map(function()
          pulled = pulled + 1
          if pulled <= total then return pulled end
        end) do
          expected = expected + 1
          if i ~= expected or result ~= 2 * i then error(("step %d gave %s, %s"):format(expected, i, result)) end
        end
        assert.equal(total, expected)
        assert.equal(total, inv:stats().tasks)
      end)
    end)

    describe("pulling:", function()
      it("an endless generator is pulled as results are taken", function()
        local inv <close> = invoker(double)
        local pulled, last = 0, 0
        for i, result in inv:map(function()
          pulled = pulled + 1
          return pulled
        end) do
          if result ~= 2 * i then error(("task %d gave %s"):format(i, result)) end
          last = i
          if i == 20000 then break end
        end
        assert.equal(20000, last)
        assert.is_true(pulled - last <= 1 << 18, ("%d tasks pulled for %d results"):format(pulled, last))
      end)

      it("no more is pulled than the pool can use soon", function()
        local LENGTH = 5e-3 -- seconds
        local inv <close> = invoker(function() spin(LENGTH) end, { ordered = false })
        local pulled, delivered, kept_away, left = 0, 0, 0, lk.clock()
        for _ in inv:map(function()
          pulled = pulled + 1
          return pulled
        end) do
          delivered = delivered + 1
          kept_away = math.max(kept_away, lk.clock() - left)
          -- Each worker runs one task, and has tasks ahead that last for as long as this program was lately
          -- away (little, unless the machine is loaded). At first nothing is known of how long they last.
          local ahead = math.ceil(kept_away / LENGTH)
          assert.is_true(pulled - delivered <= n_jobs * (16 + 2 * ahead),
            ("%d pulled when %d came; %g s away"):format(pulled, delivered, kept_away))
          if delivered == 60 then break end
          left = lk.clock()
        end
      end)

      it("in place, one task at a time", function()
        if n_jobs > 1 then return end
        local pulled = 0
        local inv <close> = invoker(echo)
        for i in inv:map(function()
          pulled = pulled + 1
          return pulled
        end) do
          assert.equal(i, pulled)
          if i == 50 then break end
        end
      end)

      it("a task begins while the generator makes the next one", function()
        local began = lk.tensor.zeros { 3 }
        local inv <close> = invoker(function(_, task) began:set(task, 1) end, { writable = { began } })
        local pulled = 0
        local results = inv:collect(function()
          if pulled > 0 then await(function() return began:get(pulled) == 1 end, "the task before") end
          pulled = pulled + 1
          if pulled <= 3 then return pulled end
        end)
        assert.equal(3, results.n)
      end)
    end)

    describe("coroutines:", function()
      it("a generator may yield", function()
        local inv <close> = invoker(double)
        local driver = coroutine.wrap(function()
          local results = {}
          for _, result in inv:map(function() return coroutine.yield "task?" end) do
            results[#results + 1] = result
          end
          return results
        end)
        local answer, task = driver(), 0
        while answer == "task?" do
          task = task + 1
          answer = driver(task <= 100 and task or nil)
        end
        assert.equal(100, #answer)
        for i = 1, 100 do assert.equal(2 * i, answer[i]) end
      end)

      it("a generator may yield and then raise", function()
        local inv <close> = invoker(double)
        local co = coroutine.create(function()
          local count = 0
          local ok, message = pcall(function()
            for _ in inv:map(function()
              if count == 3 then error("no more", 0) end
              count = count + 1
              return coroutine.yield()
            end) do end
          end)
          return ok, message, inv:collect { 4 }[1]
        end)
        local values = table.pack(coroutine.resume(co))
        while coroutine.status(co) == "suspended" do values = table.pack(coroutine.resume(co, 1)) end
        assert.same({ n = 4, true, false, "no more", 8 }, values)
      end)

      it("a consumer may yield", function()
        local inv <close> = invoker(double)
        local results = coroutine.wrap(function()
          for _, result in inv:map { 1, 2, 3, 4, 5 } do coroutine.yield(result) end
        end)
        for i = 1, 5 do assert.equal(2 * i, results()) end
        assert.is_nil(results())
        assert.equal(2, inv:collect { 1 }[1])
      end)

      it("one that is abandoned in a map leaves the invoker usable once it is collected", function()
        local inv <close> = invoker(double)
        local co = coroutine.create(function()
          for i, result in inv:map(function() return 1 end) do coroutine.yield(i, result) end
        end)
        for i = 1, 3 do assert.same({ true, i, 2 }, { coroutine.resume(co) }) end
        assert.error_matches(function() inv:map {} end, "a map of this invoker is running")
        co = nil -- luacheck: ignore co
        collectgarbage()
        collectgarbage()
        assert.same({ n = 2, errors = {}, 6, 8 }, inv:collect { 3, 4 })
      end)

      it("one that is abandoned in its generator, too", function()
        local inv <close> = invoker(double)
        local co = coroutine.create(function()
          for _ in inv:map(function() return coroutine.yield() end) do end
        end)
        for _ = 1, 3 do assert.is_true(coroutine.resume(co, 1)) end
        co = nil -- luacheck: ignore co
        collectgarbage()
        collectgarbage()
        assert.same({ n = 2, errors = {}, 6, 8 }, inv:collect { 3, 4 })
      end)

      it("a generator that runs cannot be asked by another step", function()
        local inv <close> = invoker(double)
        local step
        local co = coroutine.wrap(function() return step() end)
        step = inv:map(function() return coroutine.yield "waiting" end)
        assert.equal("waiting", co())
        assert.error_matches(step, "its generator is running already; one step at a time")
      end)
    end)
  end)
end

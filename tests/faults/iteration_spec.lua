-- What goes wrong in the program's own code: generators, consumers, coroutines, handlers, the model.
-- runs under: valgrind
local lk = require "lkrun"
local setup = require "tests.faults.setup"
local program = require "tests.support.program"
local fault, clean = setup.fault, setup.clean

local function double(_, n) return n * 2 end

-- How many workers there are in each kind of test; one job runs in place.
local kinds = { ["in workers"] = 2, ["in place"] = 1 }

for kind, n_jobs in pairs(kinds) do
  describe("a task generator, " .. kind, function()
    it("that raises: the results before it, then its error", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      for _, value in ipairs { "no more", { code = 7 } } do
        local seen = 0
        local ok, err = pcall(function()
          for i, result in inv:map(function(_, n)
            n = (n or 0) + 1
            if n == 6 then error(value, 0) end
            return n
          end) do
            seen = seen + 1
            assert.equal(2 * i, result)
          end
        end)
        assert.is_false(ok)
        assert.equal(value, err)
        assert.equal(5, seen)
        setup.assert_goes_on(inv)
      end
    end))

    it("that raises at once", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      assert.has_error(function() inv:collect(function() error("never", 0) end) end, "never")
      setup.assert_goes_on(inv)
    end))

    it("with values that cannot be sent: each fails in its place, with its path", clean(function()
      local inv <close> = lk.invoker({}, function(_, task) return type(task) == "number" and task * 2 end,
        { n_jobs = n_jobs, on_error = "return" })
      local tasks = { 1, print, 3, { a = { [4] = io.stdout } }, 5, setmetatable({}, {}), 7, coroutine.create(print) }
      local expected = {
        [2] = "task[2]: a function cannot be sent",
        [4] = "task[4].a[4]: a userdata (FILE*) cannot be sent",
        [6] = "task[6]: a table with a metatable cannot be sent",
        [8] = "task[8]: a coroutine cannot be sent",
      }
      local results, errors, count = setup.gather(inv:map(tasks))
      assert.equal(8, count)
      for i = 1, 8 do
        if expected[i] then
          assert.equal("error", errors[i].reason)
          assert.equal(expected[i], errors[i].message:sub(1, #expected[i]))
        else
          assert.equal(2 * i, results[i])
        end
      end
      setup.assert_goes_on(inv)
    end))

    it("with a value that cannot be sent: raises after the results before it", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      local seen = 0
      local ok, err = pcall(function()
        for _ in inv:map { 1, 2, print, 4 } do seen = seen + 1 end
      end)
      assert.is_false(ok)
      assert.equal(2, seen)
      assert.truthy(tostring(err):find("lkrun: task[3]: a function cannot be sent", 1, true))
      setup.assert_goes_on(inv)
    end))
  end)

  describe("a result that cannot be sent, " .. kind, function()
    it("fails its task, with its path", clean(function()
      local inv <close> = lk.invoker({}, function(_, n)
        if n == 3 then return 1, { list = { 1, 2, print } } end
        return n * 2
      end, { n_jobs = n_jobs, on_error = "return" })
      local results, errors = setup.gather(inv:map { 1, 2, 3, 4 })
      assert.equal(4, results[2])
      assert.equal(8, results[4])
      assert.truthy(errors[3].message:find("result#2.list[3]: a function cannot be sent", 1, true), errors[3].message)
      assert.is_nil(errors[4])
    end))
  end)

  describe("a consumer, " .. kind, function()
    it("that raises ends the map, and the pool goes on", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      for _ = 1, 3 do
        local ok, err = pcall(function()
          for i in inv:map(function(_, n) return (n or 0) + 1 end) do
            if i == 50 then error("enough", 0) end
          end
        end)
        assert.is_false(ok)
        assert.equal("enough", err)
      end
      setup.assert_goes_on(inv)
    end))

    it("that shuts the invoker down inside the loop ends the loop", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      local seen = 0
      for i, result in inv:map(function(_, n) return (n or 0) + 1 end) do
        assert.equal(2 * i, result)
        seen = i
        if i == 20 then inv:shutdown() end
      end
      assert.equal(20, seen)
      assert.has_error(function() inv:map { 1 } end,
        "lkrun: invoker: it has been shut down; make a new one with lk.invoker")
    end))

    it("that shuts the invoker down inside the generator ends the loop", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      local seen = 0
      for i in inv:map(function(_, n)
        n = (n or 0) + 1
        if n == 20 then inv:shutdown() end
        return n
      end) do
        seen = i
      end
      assert.is_true(seen < 20)
    end))
  end)

  describe("a coroutine that iterates a map, " .. kind, function()
    it("and is abandoned and collected, gives the pool back", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      for _ = 1, 5 do
        local step = coroutine.wrap(function()
          for i, result in inv:map(function(_, n) return (n or 0) + 1 end) do coroutine.yield(i, result) end
        end)
        for i = 1, 10 do assert.same({ i, 2 * i }, { step() }) end
        step = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        setup.assert_goes_on(inv)
      end
    end))

    it("with a generator that yields, too", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      local co = coroutine.create(function()
        for i, result in inv:map(function(_, n)
          coroutine.yield "generator"
          return (n or 0) + 1
        end) do
          coroutine.yield(i, result)
        end
      end)
      local results = 0
      while results < 10 do
        local ok, what, result = coroutine.resume(co)
        assert.is_true(ok, what)
        if what ~= "generator" then
          results = results + 1
          assert.equal(results, what)
          assert.equal(2 * results, result)
        end
      end
      co = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      setup.assert_goes_on(inv)
    end))

    it("and is closed, gives the pool back at once", clean(function()
      local inv <close> = lk.invoker({}, double, { n_jobs = n_jobs })
      local co = coroutine.create(function()
        for i in inv:map(function(_, n) return (n or 0) + 1 end) do coroutine.yield(i) end
      end)
      assert.same({ true, 1 }, { coroutine.resume(co) })
      assert.is_true(coroutine.close(co))
      setup.assert_goes_on(inv)
    end))
  end)

  describe("an error inside a handler, " .. kind, function()
    it("__close: is the task's error", clean(function()
      local inv <close> = lk.invoker({}, function(_, n)
        local guard <close> = setmetatable({}, { -- luacheck: ignore
          __close = function() if n == 3 then error("closing failed", 0) end end,
        })
        return n * 2
      end, { n_jobs = n_jobs, on_error = "return" })
      local results, errors = setup.gather(inv:map { 1, 2, 3, 4 })
      assert.equal("closing failed", errors[3].message)
      assert.equal("error", errors[3].reason)
      assert.equal(8, results[4])
      assert.equal(20, inv:submit(10):get())
    end))

    it("__gc: is nobody's", clean(function()
      local inv <close> = lk.invoker({}, function(_, n)
        setmetatable({}, { __gc = function() error "finalizer failed" end })
        collectgarbage()
        return n * 2
      end, { n_jobs = n_jobs })
      setup.assert_goes_on(inv)
    end))

    it("__gc: that never ends is what a task that never ends is", clean(function()
      if n_jobs == 1 then return end
      local inv <close> = lk.invoker({}, function(_, n)
        if n < 0 then
          setmetatable({}, { __gc = fault.stuck })
          collectgarbage()
        end
        return n * 2
      end, { n_jobs = n_jobs, timeout = 1, on_error = "return" })
      local _, errors = setup.gather(inv:map { 1, -2, 3 })
      assert.equal("timeout", errors[2].reason)
      setup.assert_goes_on(inv)
    end))
  end)
end

describe("the model dropped and collected in the host", function()
  it("stays what it was for workers that read it", clean(function()
    local expected
    local inv <close> = (function()
      local model = { tensors = {}, tables = {} }
      for i = 1, 8 do model.tensors[i] = lk.tensor.ones { 50000 } end
      for i = 1, 50000 do model.tables[i] = { i } end
      expected = 8 * 50000 + 50000 * 50001 // 2
      return lk.invoker(model, function(m)
        local sum = 0
        for i = 1, #m.tensors do sum = sum + m.tensors[i]:sum() end
        for i = 1, #m.tables do sum = sum + m.tables[i][1] end
        return sum
      end, { n_jobs = 2 })
    end)()
    local others = {}
    for i, sum in inv:map(function(_, n) return (n or 0) < 20 and (n or 0) + 1 or nil end) do
      assert.equal(expected, sum)
      collectgarbage()
      for k = 1, 8 do others[k] = lk.tensor.zeros { 50000 } end -- would get the model's memory if it were freed
      others.tables = {}
      for k = 1, 50000 do others.tables[k] = { -i } end
    end
    assert.equal(expected, inv:submit(1):get())
    assert.equal(0, others[8]:sum())
  end))
end)

describe("the program's end in the middle of a map", function()
  for name, last in pairs {
    ["by its own end"] = "", ["by os.exit"] = "os.exit(0)", ["by os.exit that closes"] = "os.exit(0, true)",
  } do
    it(name .. " leaves nothing", clean(function()
      local result = program.run(setup.prelude .. [[
        local inv = lk.invoker({}, function(_, n) if n > 3 then fault.stuck() end return n end, { n_jobs = 2 })
        local step, state, control = inv:map { 1, 2, 3, 4, 5, 6 }
        for _ = 1, 3 do print(step(state, control)) end
        print(inv:stats().workers[1].pid, inv:stats().workers[2].pid, inv:stats().template)
        ]] .. last)
      assert.equal("", result.err)
      assert.equal(0, result.status)
      assert.equal("1\t1\n2\t2\n3\t3\n", result.out:sub(1, 12))
      for pid in result.out:sub(13):gmatch "%d+" do
        setup.eventually(function() return pid == "0" or (setup.state(math.tointeger(pid)) or "Z") == "Z" end,
          "the end of process " .. pid)
      end
    end))
  end

  it("by an error shows the error and leaves nothing", clean(function()
    local result = program.run(setup.prelude .. [[
      local inv = lk.invoker({}, function(_, n) if n == 3 then error "bad luck" end return n end, { n_jobs = 2 })
      for i in inv:map { 1, 2, 3, 4, 5, 6 } do print(i) end]])
    assert.equal(1, result.status)
    assert.equal("1\n2\n", result.out)
    assert.truthy(result.err:find("^lkrun: task 3 %(worker [12]%): [^\n]*bad luck\n"), result.err)
  end))
end)

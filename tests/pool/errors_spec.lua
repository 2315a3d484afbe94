-- runs under: valgrind
local lk = require "lkrun"
local invoker_of = require "tests.support.invoker_of"
local program = require "tests.support.program"

local function caught(inv, tasks, ...)
  local delivered = {}
  local ok, err = pcall(function(...)
    for i, result in inv:map(...) do delivered[#delivered + 1] = { i, result } end
  end, tasks, ...)
  assert.is_false(ok)
  return err, delivered
end

local function fail_at_three(_, task)
  if task == 3 then error "three is too many" end
  return task
end

local unsendable = {
  { value = print, text = "a function cannot be sent" },
  { value = coroutine.create(print), text = "a coroutine cannot be sent" },
  { value = io.stdout, text = "a userdata %(FILE%*%) cannot be sent" },
  { value = setmetatable({}, {}), text = "a table with a metatable cannot be sent" },
}

for _, n_jobs in ipairs { 1, 2, 4 } do
  local invoker = invoker_of(n_jobs)

  describe(("a failed task, n_jobs = %d,"):format(n_jobs), function()
    it("raises an object that says what, where and in which task", function()
      local inv <close> = invoker(fail_at_three)
      local err, delivered = caught(inv, { 1, 2, 3, 4, 5 })
      assert.same({ { 1, 1 }, { 2, 2 } }, delivered)
      assert.truthy(err.message:find "errors_spec.lua:%d+: three is too many$")
      assert.truthy(err.traceback:find("errors_spec.lua:%d+: in .-fail_at_three") or
        err.traceback:find "errors_spec.lua:%d+: in function <", err.traceback)
      assert.equal("error", err.reason)
      assert.equal(3, err.task)
      assert.equal(2, err.delivered)
      assert.is_nil(err.signal)
      assert.is_nil(err.status)
      assert.is_nil(err.value)
      if n_jobs == 1 then
        assert.equal(0, err.worker)
      else
        assert.is_true(err.worker >= 1 and err.worker <= n_jobs)
      end
      local where = n_jobs > 1 and (" (worker %d)"):format(err.worker) or ""
      assert.equal(("lkrun: task 3%s: %s"):format(where, err.message), tostring(err))
    end)

    it("says which line of the program called what lkrun refuses", function()
      local vector = lk.tensor.ones { 3 }
      local inv <close> = invoker(function(_, task)
        if task == 1 then lk.tensor.zeros(-1) end
        if task == 2 then lk.json.encode { [0.5] = vector } end
        if task == 3 then error "lkrun: a line of its own" end
        return lk.load "no such file.lkm" -- a tail call: its caller is not on the stack any more
      end, { on_error = "return" })
      local errors = inv:collect({ 1, 2, 3, 4 }).errors
      local line = debug.getinfo(1, "l").currentline - 7
      for task = 1, 2 do
        assert.equal(("tests/pool/errors_spec.lua:%d"):format(line + task), errors[task].where)
        assert.matches((": tests/pool/errors_spec.lua:%d: lk%%.%%a+%%.%%a+: "):format(line + task),
          tostring(errors[task]))
        assert.matches("^lkrun: lk%.", errors[task].message)
      end
      assert.is_nil(errors[3].where)
      assert.is_nil(errors[4].where)
      assert.matches("lkrun: lk.load: no such file.lkm", tostring(errors[4]), 1, true)
    end)

    it("leaves the invoker usable", function()
      local inv <close> = invoker(fail_at_three)
      for _ = 1, 5 do
        caught(inv, { 3 })
        assert.same({ n = 3, errors = {}, 1, 2, 4 }, inv:collect { 1, 2, 4 })
      end
    end)

    it("yields i, nil, err with on_error = return, and the rest goes on", function()
      for _, ordered in ipairs { true, false } do
        local inv <close> = invoker(fail_at_three, { on_error = "return", ordered = ordered })
        local seen = {}
        for i, result, err in inv:map { 1, 2, 3, 4, 5 } do
          assert.is_nil(seen[i])
          seen[i] = true
          if i == 3 then
            assert.is_nil(result)
            assert.equal(3, err.task)
            assert.truthy(err.message:find "three is too many$")
          else
            assert.equal(i, result)
            assert.is_nil(err)
          end
        end
        assert.equal(5, #seen)
        local results = inv:collect { 3, 1, 3 }
        assert.equal(3, results.n)
        assert.equal(1, results[2])
        assert.is_nil(results[1])
        assert.same({ 1, 3 }, { results.errors[1].task, results.errors[3].task })
        assert.is_nil(results.errors[2])
      end
    end)

    it("unordered, raises when it is its turn", function()
      local inv <close> = invoker(fail_at_three, { ordered = false })
      local err, delivered = caught(inv, { 3, 3, 3 })
      assert.equal(0, #delivered)
      assert.equal("error", err.reason)
    end)

    it("carries the value that was raised", function()
      local inv <close> = invoker(function(_, task)
        if task == "table" then error { code = 7, list = { 1, 2 } } end
        if task == "number" then error(42) end
        if task == "nothing" then error() end
        if task == "tensor" then error(lk.tensor.ones { 2 }) end
        if task == "object" then
          error(setmetatable({ print }, { __tostring = function() return "an object" end }))
        end
      end, { on_error = "return" })
      local errors = inv:collect { "table", "number", "nothing", "tensor", "object" }.errors
      assert.same({ code = 7, list = { 1, 2 } }, errors[1].value)
      assert.equal("error object {code = 7, list = {1, 2}}", errors[1].message)
      assert.equal(42, errors[2].value)
      assert.equal("42", errors[2].message)
      assert.is_nil(errors[3].value)
      assert.equal("(error object is a nil value)", errors[3].message)
      assert.equal(2, errors[4].value:size(1))
      assert.is_nil(errors[5].value)
      assert.equal("an object", errors[5].message)
    end)

    it("tells of a table its message, or its fields on one line, and where it was raised", function()
      local inv <close> = invoker(function(_, task)
        if task == "message" then error { message = "not found", code = 404 } end
        if task == "records" then error { { a = 1, b = "x\ny" }, { a = 22, b = "z" } } end
        if task == "large" then error { ("\u{e4}"):rep(150), ("\u{e4}"):rep(150), ("\u{e4}"):rep(150) } end
        if task == "hostile" then
          error(setmetatable({ message = 5 }, { __index = function() error "never called" end }))
        end
      end, { on_error = "return" })
      local errors = inv:collect { "message", "records", "large", "hostile" }.errors
      assert.equal("not found", errors[1].message)
      assert.equal(404, errors[1].value.code)
      assert.truthy(tostring(errors[1]):find "task 1[^\n]*: [^\n]*errors_spec%.lua:%d+: not found$")
      assert.equal('error object {{a =  1, b = "x\\ny"}, {a = 22, b = "z"}}', errors[2].message)
      assert.truthy(errors[3].message:find "%.%.%.$")
      assert.equal(#"error object " + 300 + #" ...", utf8.len(errors[3].message))
      assert.equal("error object {message = 5}", errors[4].message)
    end)

    it("tells which name of lkrun may have been meant", function()
      local inv <close> = invoker(function() return lk.cloc() end)
      local err = caught(inv, { 1 })
      assert.truthy(err.message:find("(field 'cloc'); did you mean lk.clock?", 1, true), err.message)
    end)

    it("is one line as text, whatever its message", function()
      local inv <close> = invoker(function() error("first\nsecond\nthird", 0) end)
      local err = caught(inv, { 1 })
      assert.equal("failed: " .. tostring(err) .. "!", "failed: " .. err .. "!")
      assert.equal("first\nsecond\nthird", err.message)
      assert.truthy(tostring(err):find "^lkrun: task 1[^\n]*: first$")
    end)

    it("from deep inside has its way in the traceback", function()
      local function deepest() error "deep" end
      local function deeper() deepest() end
      local inv <close> = invoker(function() deeper() end)
      local err = caught(inv, { 1 })
      assert.truthy(err.traceback:find "in upvalue 'deepest'", err.traceback)
      assert.truthy(err.traceback:find "in upvalue 'deeper'", err.traceback)
      local stack = invoker(function(_, n)
        local function down(k) return k == 0 and error "bottom" or 1 + down(k - 1) end
        return down(n)
      end)
      err = caught(stack, { 1000 })
      assert.truthy(err.message:find "bottom")
      err = caught(stack, { 10000000 })
      assert.truthy(err.message:find "stack overflow")
      stack:shutdown()
    end)

    it("by a func that is not a function any more, or fails in C", function()
      local callable = setmetatable({}, { __call = function(_, _, task) return task + 1 end })
      local inv <close> = invoker(callable)
      assert.same({ n = 1, errors = {}, 3 }, inv:collect { 2 })
      local in_c <close> = invoker(function(_, task) return string.rep(task) end)
      assert.truthy(caught(in_c, { "x" }).message:find "bad argument #2 to 'rep'")
    end)

    it("cannot be caught by a yield out of the task", function()
      local inv <close> = invoker(function() coroutine.yield() end)
      assert.truthy(caught(inv, { 1 }).message:find "attempt to yield")
      local within <close> = invoker(function(_, task)
        local next_number = coroutine.wrap(function() for i = 1, task do coroutine.yield(i) end end)
        return next_number() + next_number()
      end)
      assert.equal(3, within:collect { 5 }[1])
    end)
  end)

  describe(("what cannot be sent, n_jobs = %d,"):format(n_jobs), function()
    it("as a task is an error in its place, with the path", function()
      local inv <close> = invoker(function(_, task) return task end, { on_error = "return" })
      for _, case in ipairs(unsendable) do
        local results = inv:collect { 1, { list = { 5, { callback = case.value } } }, 3 }
        assert.same({ 1, 3 }, { results[1], results[3] })
        local err = results.errors[2]
        assert.truthy(err.message:find("^task%[2%]%.list%[2%]%.callback: " .. case.text), err.message)
        assert.equal("lkrun: " .. err.message, tostring(err))
        assert.equal("error", err.reason)
        assert.equal(2, err.task)
        assert.truthy(inv:collect { case.value }.errors[1].message:find("^task%[1%]: " .. case.text))
      end
    end)

    it("raises for its task in order", function()
      local inv <close> = invoker(function(_, task) return task end)
      local err, delivered = caught(inv, { 1, 2, print, 4 })
      assert.same({ { 1, 1 }, { 2, 2 } }, delivered)
      assert.equal("task[3]: a function cannot be sent", err.message)
    end)

    it("as a result is an error with the path", function()
      local inv <close> = invoker(function(_, task)
        if task == "nested" then return { 1, { f = print } } end
        if task == "second" then return 1, print end
        if task == "metatable" then return setmetatable({}, {}) end
        return task
      end, { on_error = "return" })
      local results = inv:collect { "nested", "second", "metatable", "fine" }
      assert.truthy(results.errors[1].message:find "^result%[2%]%.f: a function cannot be sent")
      assert.truthy(results.errors[2].message:find "^result#2: a function cannot be sent")
      assert.truthy(results.errors[3].message:find "^result: a table with a metatable cannot be sent")
      assert.equal("fine", results[4])
      assert.equal(1, results.errors[1].task)
    end)
  end)

  describe(("a generator that fails, n_jobs = %d,"):format(n_jobs), function()
    it("raises its error after all results before it", function()
      for _, ordered in ipairs { true, false } do
        local inv <close> = invoker(function(_, task) return -task end, { ordered = ordered })
        for count = 0, 50, 10 do
          local pulled, object = 0, { "raised as it is" }
          local err, delivered = caught(inv, function()
            if pulled == count then error(object) end
            pulled = pulled + 1
            return pulled
          end)
          assert.equal(object, err)
          assert.equal(count, #delivered)
          for _, step in ipairs(delivered) do assert.equal(-step[1], step[2]) end
        end
        assert.same({ n = 1, errors = {}, -1 }, inv:collect { 1 })
      end
    end)

    it("after a failed task is not asked again", function()
      local inv <close> = invoker(fail_at_three)
      local pulled = 0
      local err = caught(inv, function()
        pulled = pulled + 1
        if pulled == 4 then error "the generator's" end
        return pulled
      end)
      assert.equal(3, err.task)
      assert.is_true(pulled <= 4)
    end)

    it("ends its map, so that another step gives nothing", function()
      local inv <close> = invoker(fail_at_three)
      local step = inv:map(function() error "at once" end)
      assert.error_matches(step, "at once")
      assert.equal(0, select("#", step()))
      assert.same({ n = 1, errors = {}, 1 }, inv:collect { 1 })
    end)

    it("in a sequence's __index, too", function()
      local inv <close> = invoker(function(_, task) return task end)
      local tasks = setmetatable({}, {
        __len = function() return 5 end,
        __index = function(_, i) return i < 4 and i or error "no fourth" end,
      })
      local err, delivered = caught(inv, tasks)
      assert.truthy(err:find "no fourth")
      assert.same({ { 1, 1 }, { 2, 2 }, { 3, 3 } }, delivered)
      assert.same({ n = 1, errors = {}, 1 }, inv:collect { 1 })
    end)
  end)
end

describe("a task that nobody caught", function()
  it("ends the program with its text and status 1", function()
    for _, n_jobs in ipairs { 1, 2 } do
      local result = program.run(([[
        local lk = require "lkrun"
        for i, result in lk.map(nil, function(_, task) error("bad " .. task) end, { "apple" }, { n_jobs = %d }) do end
      ]]):format(n_jobs))
      assert.equal(1, result.status)
      assert.truthy(result.err:find "lkrun: task 1[^\n]*: [^\n]*bad apple", result.err)
      assert.equal("", result.out)
    end
  end)
end)

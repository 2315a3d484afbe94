-- Code of the user's that the pool runs, or that runs while the pool works, and that uses the pool itself.
local lk = require "lkrun"
require "tests.faults.setup" -- where the module "fault" is
local program = require "tests.support.program"

local function numbers(count, at, act)
  local k = 0
  return function()
    k = k + 1
    if k == at then act() end
    return k <= count and k or nil
  end
end

describe("an invoker in a finalizer", function()
  it("ends after the step that is going on, not in it", function()
    program.output([[
      local lk = require "lkrun"
      for _, n_jobs in ipairs { 1, 2 } do
        for _, length in ipairs { 10, 100 } do -- of strings, both as scalars and in tables
          local inv = lk.invoker(nil, function(_, task) return ("x"):rep(length), { task } end, { n_jobs = n_jobs })
          local ended
          local seen = 0
          for i, text, list in inv:map(function(_, k) return k < 20000 and k + 1 or nil end, nil, 0) do
            assert(#text == length and list[1] == i)
            seen = seen + 1
            if i == 500 then
              setmetatable({}, { __gc = function() ended = true; inv:shutdown() end })
            end
          end
          assert(ended and seen < 20000, seen)
          assert(select(2, pcall(inv.submit, inv, 1)):find "shut down")
        end
      end
    ]])
  end)

  it("can do nothing else, and is told so", function()
    for _, n_jobs in ipairs { 1, 2 } do
      local inv <close> = lk.invoker(nil, function(_, task) return task end, { n_jobs = n_jobs })
      local future = inv:submit(1)
      local step = inv:map { 1, 2, 3 }
      local messages = {}
      local calls = {
        function() inv:submit(1) end, function() inv:stats() end, function() inv:map {} end,
        function() inv:collect {} end, function() future:get() end, step,
        function() lk.invoker(nil, print, { n_jobs = n_jobs }) end,
      }
      setmetatable({}, { __gc = function()
        for i, call in ipairs(calls) do messages[i] = select(2, pcall(call)) end
      end })
      collectgarbage()
      for i in ipairs(calls) do
        assert.truthy(tostring(messages[i]):find("it cannot be used in a finalizer", 1, true), messages[i])
      end
      assert.equal(1, future:get())
      for i = 1, 3 do assert.equal(i, (step())) end
      assert.is_nil(step())
    end
  end)
end)

describe("an invoker that its own tasks come from", function()
  for _, n_jobs in ipairs { 1, 2, 3 } do
    local function invoker() return lk.invoker(nil, function(_, task) return task end, { n_jobs = n_jobs }) end

    it(("may be shut down there, n_jobs = %d"):format(n_jobs), function()
      local inv <close> = invoker()
      local most = 0
      for i in inv:map(numbers(2000, 300, function() inv:shutdown() end)) do most = i end
      assert.is_true(most < 300)
      local other <close> = invoker()
      local tasks = setmetatable({ n = 2000 }, { __index = function(_, i)
        if i == 300 then other:shutdown() end
        return i
      end })
      for i in other:map(tasks) do most = i end
      assert.is_true(most < 300)
    end)

    it(("raises what is raised there after it, n_jobs = %d"):format(n_jobs), function()
      local inv <close> = invoker()
      assert.error_matches(function()
        for _ in inv:map(numbers(100, 30, function() inv:shutdown() error "the reason" end)) do end
      end, "the reason")
    end)

    it(("hands out and waits there, n_jobs = %d"):format(n_jobs), function()
      local inv <close> = invoker()
      local futures = {}
      local seen = 0
      for i, task in inv:map(numbers(2000, 300, function()
        for k = 1, 3000 do futures[k] = inv:submit(k) end
        assert(futures[2000]:get() == 2000)
      end)) do
        seen = seen + 1
        assert(i == seen and task == i)
      end
      for k = 1, 3000 do assert(futures[k]:get() == k) end
    end)
  end

  it("closes them where the loop has shut it down", function()
    for _, n_jobs in ipairs { 1, 2 } do
      local inv <close> = lk.invoker(nil, function(_, task) return task end, { n_jobs = n_jobs })
      local closed = 0
      local closing = setmetatable({}, { __close = function() closed = closed + 1 end })
      for _ in inv:map(numbers(10), nil, nil, closing) do inv:shutdown() end
      assert.equal(1, closed)
    end
  end)
end)

describe("a process that is forked", function()
  it("by a task does not go on as a second worker", function()
    local results = lk.invoker(nil, function(_, task)
      local folder = task.folder
      package.cpath = folder
      local fault = require "fault"
      if fault.fork() == 0 then
        if task.exits then os.exit(3) end
        return "from the copy"
      end
      return "from the worker"
    end, { n_jobs = 2 })
    local tasks = {}
    for i = 1, 40 do tasks[i] = { folder = package.cpath, exits = i % 2 == 0 } end
    local seen = 0
    for i, text in results:map(tasks) do
      seen = seen + 1
      assert.equal(seen, i)
      assert.equal("from the worker", text)
    end
    assert.equal(40, seen)
    assert.equal(0, results:stats().crashes)
    results:shutdown()
  end)

  it("by the program leaves the map to it", function()
    program.output(([[
      package.cpath = %q
      local fault = require "fault"
      local lk = require "lkrun"
      local inv <close> = lk.invoker(nil, function(_, task) return task end, { n_jobs = 2 })
      local seen = 0
      local children = {}
      local step = inv:map(function(_, k) return k < 20000 and k + 1 or nil end, nil, 0)
      local future = inv:submit(5)
      for i, task in step do
        seen = seen + 1
        assert(i == seen and task == i)
        if i %% 1000 == 0 then
          local child = fault.fork()
          if child == 0 then
            local _, said = pcall(step)
            assert(said:find "it belongs to the process that made it")
            if i == 1000 then assert(not pcall(future.get, future)) end
            break -- through all that is to be closed
          end
          children[#children + 1] = child
        end
      end
      if #children == 20 then
        assert(seen == 20000)
        assert(future:get() == 5)
        assert(inv:submit(6):get() == 6)
      end
    ]]):format(package.cpath))
  end)
end)

-- The collector's mode and parameters are the program's again when the last worker has ended.
local lk = require "lkrun"
local program = require "tests.support.program"

local function nothing() end

-- How many collections there are while many small tables are made, counted by an object that dies in each.
local function collections()
  local count = 0
  local function sentinel()
    setmetatable({}, {
      __gc = function()
        count = count + 1
        sentinel()
      end,
    })
  end
  sentinel()
  local kept
  for i = 1, 200000 do kept = { i, kept and kept[1] } end
  local counted = count
  sentinel = nothing
  return counted
end

describe("the collector", function()
  after_each(function()
    collectgarbage "restart"
    collectgarbage("incremental", 200, 100, 13)
    collectgarbage("generational", 20, 100)
  end)

  it("is in the program's mode again after an invoker, and says so meanwhile", function()
    for _, mode in ipairs { "incremental", "generational" } do
      collectgarbage(mode)
      do
        local inv <close> = lk.invoker(nil, nothing, { n_jobs = 2 }) -- luacheck: ignore inv
        assert.equal(mode, collectgarbage(mode))
      end
      assert.equal(mode, collectgarbage(mode))
    end
  end)

  it("comes back after the last of several invokers, whichever that is", function()
    collectgarbage "incremental"
    local first = lk.invoker(nil, nothing, { n_jobs = 2 })
    local second = lk.invoker(nil, nothing, { n_jobs = 2 })
    first:shutdown()
    local third = lk.invoker(nil, nothing, { n_jobs = 2 })
    third:shutdown()
    second:shutdown()
    assert.equal("incremental", collectgarbage "generational")
  end)

  it("keeps the pause and the step of the incremental mode", function()
    collectgarbage("incremental", 300, 400, 10)
    lk.invoker(nil, nothing, { n_jobs = 2 }):shutdown()
    assert.equal(300, collectgarbage("setpause", 300))
    assert.equal(400, collectgarbage("setstepmul", 400))
  end)

  it("has the generational mode's own parameters again", function()
    collectgarbage("generational", 100, 400)
    local before = collections()
    lk.invoker(nil, nothing, { n_jobs = 2 }):shutdown()
    local after = collections()
    collectgarbage("generational", 5, 400)
    local often = collections()
    assert.is_true(before > 0 and often > 2 * before)
    assert.is_true(after <= 1.5 * before and before <= 1.5 * after, before .. " then " .. after)
  end)

  it("takes a mode asked for meanwhile when the last invoker has ended", function()
    do
      local inv <close> = lk.invoker(nil, nothing, { n_jobs = 2 }) -- luacheck: ignore inv
      assert.equal("generational", collectgarbage("incremental", 312))
      assert.equal("incremental", collectgarbage("generational"))
      assert.equal("generational", collectgarbage("incremental"))
    end
    assert.equal(312, collectgarbage("setpause", 200))
    assert.equal("incremental", collectgarbage "generational")
  end)

  it("stays stopped where the program stopped it, but runs in workers", function()
    collectgarbage "stop"
    do
      local inv <close> = lk.invoker(nil, function() return collectgarbage "isrunning" end, { n_jobs = 2 })
      assert.is_true(inv:submit(1):get())
      assert.is_false(collectgarbage "isrunning")
    end
    assert.is_false(collectgarbage "isrunning")
  end)

  it("comes back after an invoker that was collected", function()
    -- In a program of its own, because a tool that watches the lines of this one would have its hook there.
    local out = program.output [[
      local lk = require "lkrun"
      collectgarbage "incremental"
      local inv = lk.invoker(nil, print, { n_jobs = 2 })
      inv = nil
      collectgarbage()
      collectgarbage()
      print(collectgarbage "generational", debug.gethook())
    ]]
    assert.equal("incremental\tnil\n", out)
  end)

  it("collects in a worker, whole when it is asked to", function()
    local inv <close> = lk.invoker({ setmetatable({}, { __mode = "k" }) }, function(model, n)
      for i = 1, n do model[1][{}] = i end
      collectgarbage()
      local left = 0
      for _ in pairs(model[1]) do left = left + 1 end
      return left
    end, { n_jobs = 2 })
    assert.equal(0, inv:submit(100):get())
  end)
end)

describe("collectgarbage", function()
  it("does what the manual says", function()
    assert.equal(0, collectgarbage())
    assert.equal(0, collectgarbage "collect")
    assert.equal("float", math.type(collectgarbage "count"))
    assert.equal(0, collectgarbage "stop")
    assert.is_false(collectgarbage "isrunning")
    assert.equal(0, collectgarbage "restart")
    assert.is_true(collectgarbage "isrunning")
    assert.equal("boolean", type(collectgarbage "step"))
    assert.equal("boolean", type(collectgarbage("step", 10)))
    local pause = collectgarbage("setpause", 152)
    assert.equal(152, collectgarbage("setpause", pause))
  end)

  it("refuses what it does not know", function()
    assert.error_matches(function() collectgarbage "often" end,
      "bad argument #1 to 'collectgarbage' %(invalid option 'often'%)")
    assert.error_matches(function() collectgarbage("generational", "often") end,
      "bad argument #2 to 'collectgarbage' %(number expected, got string%)")
  end)
end)

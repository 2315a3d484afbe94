-- A model of Lua values stays one copy while workers and the host make garbage, and a worker that
-- gathers too much of its own is replaced.
local lk = require "lkrun"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

-- A program that builds a model by the chunk in its argument, lets two workers and the host allocate, and writes
-- by what part of the model's size all processes together have grown.
local measuring = [[
  local lk = require "lkrun"
  local function read(path)
    local file <close> = io.open(path)
    return file and file:read "a" or ""
  end
  local function pss_of(pid) return tonumber(read(("/proc/%s/smaps_rollup"):format(pid)):match "Pss:%s+(%d+)" or 0) end
  local function pss()
    local sum, own = pss_of "self", read("/proc/self/stat"):match "^%d+"
    for pid in read(("/proc/self/task/%s/children"):format(own)):gmatch "%d+" do sum = sum + pss_of(pid) end
    return sum
  end
  local build = load(arg[1])
  local before = pss()
  local model = build()
  collectgarbage()
  local alone = pss()
  local inv <close> = lk.invoker(model, function(m, i)
    local row, made = m[i % #m + 1], {}
    for k = 1, 8 do made[k] = { row, k, k .. "th" } end
    return made[8][2] + #made
  end, { n_jobs = 2 })
  local function all_work()
    for _, worker in ipairs(inv:stats().workers) do
      if worker.tasks < 1000 then return false end
    end
    return true
  end
  local i, kept = 0, nil
  for _, result in inv:map(function()
    if i < 30000 or i % 1000 > 0 or not all_work() then i = i + 1 return i end
  end) do
    assert(result == 16)
    kept = { result, i .. "th", kept and kept[1], {} }
  end
  for _ = 1, 100000 do kept = { kept[1], {} } end
  print((pss() - alone) / (alone - before))
]]

local tables = [[
  local model = {}
  repeat
    for _ = 1, 10000 do model[#model + 1] = { #model, 0.5, { #model } } end
  until collectgarbage "count" > 48 << 10
  return model
]]

-- A model of tables with holes all over its memory, left by garbage that was alive while the model was built.
local tables_between_garbage = [[
  local model, garbage = {}, {}
  repeat
    for _ = 1, 10000 do
      model[#model + 1] = { #model, 0.5, { #model } }
      garbage[#garbage + 1] = { #model }
    end
  until collectgarbage "count" > 64 << 10
  return model
]]

local function assert_stays_shared(build)
  local growth = program.output(measuring, { args = { build } })
  assert.is_true(tonumber(growth) < 0.6, "all grew by this part of the model: " .. growth)
end

describe("a model of Lua tables", function()
  -- Each process that unshares the model adds 1 to the growth; its own new objects add less than a tenth.
  it("stays shared while workers and the host allocate", function()
    assert_stays_shared(tables)
  end)

  it("stays shared where it lies between holes", function()
    assert_stays_shared(tables_between_garbage)
  end)

  it("stays shared where the program had stopped the collector", function()
    local stopped = 'collectgarbage "stop"\n' .. tables
    assert_stays_shared(stopped)
  end)

  it("stays shared where the program collects incrementally", function()
    local incremental = 'collectgarbage "incremental"\n' .. tables
    assert_stays_shared(incremental)
  end)
end)

describe("a worker that gathers more than its budget", function()
  local gathering = [[
    local lk = require "lkrun"
    local inv <close> = lk.invoker({}, function(model, i)
      local own = {}
      for k = 1, 100000 do own[k] = { k } end
      model[#model + 1] = own
      return 2 * i
    end, { n_jobs = 2 })
    local tasks = {}
    for i = 1, 60 do tasks[i] = i end
    for i, result in inv:map(tasks) do assert(result == 2 * i) end
    local stats = inv:stats()
    local busy, done = 0, 0
    for _, worker in ipairs(stats.workers) do busy, done = busy + worker.busy, done + worker.tasks end
    print(stats.tasks, stats.crashes, stats.retries, done, busy > 0)
  ]]

  it("is replaced between tasks, with nobody to blame and nothing lost", function()
    local out, err = program.output(gathering, { env = { LK_LOG_LEVEL = "debug" } })
    assert.equal("60\t0\t0\t60\ttrue\n", out)
    local _, replaced = err:gsub("DEBUG lkrun %[worker %d%]: over 64 MiB of Lua values of its own", "")
    assert.is_true(replaced >= 3)
  end)

  it("says nothing of it otherwise", function()
    local _, err = program.output(gathering)
    assert.equal("", err)
  end)

  it("is not replaced for what a task left to the collector", function()
    local inv <close> = lk.invoker(nil, function(_, i)
      local text = ("x"):rep(70 << 20)
      return i + #text - #text
    end, { n_jobs = 2 })
    local pids = {}
    processes.await_workers(inv)
    for _, worker in ipairs(inv:stats().workers) do pids[worker.pid] = true end
    for i, result in inv:map { 1, 2, 3, 4, 5, 6 } do assert.equal(i, result) end
    for _, worker in ipairs(inv:stats().workers) do assert.is_true(pids[worker.pid]) end
  end)
end)

describe("the heap", function()
  it("serves a stock Lua to the very end of its state", function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a stock Lua lacks the sanitizer's runtime" end
    local folder = program.executable:match "^(.*)/[^/]*$"
    local result = program.shell("LUA_CPATH='" .. folder .. "/lib/?.so;;' exec lua5.4 -e '" .. [[
      local lk = require "lkrun"
      local inv <close> = lk.invoker({}, function(_, i) return { i } end, { n_jobs = 2 })
      kept = inv:collect { 1, 2, 3 } -- blocks of the heap that only the end of the state frees
    ]] .. "'")
    assert.same({ how = "exit", status = 0, err = "", out = "" }, result)
  end)

  it("gives and takes blocks of any size, in workers and in the host, before, during and after", function()
    local function churn(seed)
      local kept, state = {}, seed
      for step = 1, 3000 do
        state = (state * 1103515245 + 12345) % 2147483648
        local slot, size = state % 97 + 1, 1 << (state // 128 % 21)
        if state % 3 == 0 then
          kept[slot] = (string.char(step % 256)):rep(size)
        elseif state % 3 == 1 then
          local list = {}
          for k = 1, size % 4096 do list[k] = k end
          kept[slot] = list
        else
          kept[slot] = nil
        end
      end
      local sum = 0
      for slot = 1, 97 do
        local value = kept[slot]
        if type(value) == "string" then
          assert(value == value:sub(1, 1):rep(#value))
          sum = sum + #value + value:byte()
        elseif value then
          for k = 1, #value do assert(value[k] == k) end
          sum = sum + #value
        end
      end
      return sum, kept
    end
    local expected, before = churn(1)
    local during
    do
      local inv <close> = lk.invoker(before, function(model, seed)
        for slot = 1, 97 do model[slot] = nil end -- inherited blocks are let go
        return (churn(seed))
      end, { n_jobs = 2 })
      local futures = {}
      for i = 1, 4 do futures[i] = inv:submit(1) end
      local sum
      sum, during = churn(1)
      assert.equal(expected, sum)
      for i = 1, 4 do assert.equal(expected, (futures[i]:get())) end
    end
    for slot, value in pairs(before) do
      if type(value) == "string" then during[slot] = during[slot] .. value end
    end
    collectgarbage()
    assert.equal(expected, (churn(1)))
  end)
end)

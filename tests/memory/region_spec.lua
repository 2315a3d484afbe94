-- The region under a pool: what it holds and for how long, and who may write it.
local lk = require "lkrun"
local region = require "lkrun.core.region"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

local KIB <const>, MIB <const> = 1 << 10, 1 << 20

local function used()
  collectgarbage()
  collectgarbage()
  return region.use().used
end

for _, n_jobs in ipairs { 1, 2, 4 } do
  describe(("the region, n_jobs = %d,"):format(n_jobs), function()
    it("does not fill while a map goes on and on", function()
      local inv <close> = lk.invoker(nil, function(_, task)
        return task.tensor:sum() + #task.text, lk.tensor.ones { 20000 }
      end, { n_jobs = n_jobs })
      local before, most = used(), 0
      local text = ("x"):rep(70 * KIB)
      local pulled = 0
      for i, sum in inv:map(function()
        pulled = pulled + 1
        return { tensor = lk.tensor.ones { 128 * KIB }, text = text } -- 1 MiB
      end) do
        if sum ~= 128 * KIB + #text then error("task " .. i) end
        most = math.max(most, region.use().used - before)
        if i == 400 then break end
      end
      -- Some are on their way, some are garbage here or in a worker that collects it later.
      assert.is_true(most < 250 * MIB, most // MIB .. " MiB")
    end)

    it("is as before when all is done", function()
      local before = used()
      local inv = lk.invoker(nil, function(_, task)
        if task == "error" then error(lk.tensor.ones { 20000 }) end
        return { lk.tensor.ones { 20000 }, task }, lk.tensor.ones { 20000 }
      end, { n_jobs = n_jobs, on_error = "return" })
      local text, tensor = ("x"):rep(70 * KIB), lk.tensor.ones { 20000 }
      local pulled = 0
      for i in inv:map(function()
        pulled = pulled + 1
        return pulled % 10 == 0 and "error" or { tensor, text, tensor:clone() }
      end) do
        if i == 300 then break end
      end
      assert.error(function() inv:submit { tensor:clone(), print } end)
      inv:submit(tensor:clone()):get()
      inv:submit(tensor:clone())
      tensor, text = nil, nil -- luacheck: ignore
      inv:shutdown()
      inv = nil -- luacheck: ignore inv
      assert.equal(before, used())
    end)
  end)
end

describe("an invoker in a worker", function()
  it("shares the model, tasks and results with workers of its own", function()
    local model, sums = lk.tensor.ones { 20000 }, lk.tensor.zeros { 4 }
    local inv <close> = lk.invoker(model, function(m, task)
      local between = lk.tensor.full({ 20000 }, 10)
      local inner <close> = lk.invoker(between, function(n, number)
        sums:set(number, m:sum() + n:sum() + task:sum() + number)
        local refused = not pcall(m.set, m, 1, 0) and not pcall(n.set, n, 1, 0) and not pcall(task.set, task, 1, 0)
        return lk.tensor.full({ 30000 }, number), refused
      end, { n_jobs = 2 })
      local tensors, all_refused = {}, true
      for i, tensor, refused in inner:map { 1, 2, 3, 4 } do
        tensors[i] = tensor
        all_refused = all_refused and refused
      end
      task:set(1, 0)
      return tensors, all_refused
    end, { n_jobs = 2, writable = { sums } })
    for _, tensors, refused in inv:map { lk.tensor.full({ 20000 }, 100), lk.tensor.full({ 20000 }, 100) } do
      assert.is_true(refused)
      for i = 1, 4 do assert.equal(30000 * i, tensors[i]:sum()) end
    end
    for i = 1, 4 do assert.equal(111 * 20000 + i, sums:get(i)) end
    assert.equal(20000, model:sum())
  end)
end)

describe("tensors that nobody holds", function()
  it("are collected before they fill the region, whatever the heap was before", function()
    local ways = {
      "",
      "for i = 1, 40 do t[i] = ('x'):rep(5 << 20) .. i end",
      "for i = 1, 300000 do t[i] = { i } end",
    }
    for _, way in ipairs(ways) do
      for _, collect in ipairs { "", "collectgarbage()" } do
        for _, mode in ipairs { "generational", "incremental" } do
          local most = program.output(([[
            local lk = require "lkrun"
            local region = require "lkrun.core.region"
            collectgarbage "%s"
            do
              local t = {}
              %s
            end
            %s
            local most = 0
            for i = 1, 300 do
              local tensor = lk.tensor.zeros { 128 << 10 }
              most = math.max(most, region.use().used)
            end
            print(most)]]):format(mode, way, collect))
          assert.is_true(tonumber(most) < 100 * MIB, ("%s %s %s: %d MiB"):format(mode, way, collect, most // MIB))
        end
      end
    end
  end)
end)

describe("pages of the model", function()
  -- What the mappings of the region allow, in this process.
  local function modes()
    local found = {}
    for _, mapping in ipairs(processes.mappings("self", "/memfd:lkrun (deleted)")) do
      found[mapping.mode] = (found[mapping.mode] or 0) + mapping.last - mapping.first
    end
    return found
  end

  it("are protected in workers, but for those of writable tensors", function()
    local model, writable = lk.tensor.ones { 1000, 1000 }, lk.tensor.ones { 20000 }
    local inv <close> = lk.invoker(model, function(m) return modes(), m:get(1, 1) end,
      { n_jobs = 2, writable = { writable } })
    for _, found in inv:map { 1, 2 } do
      assert.is_true(found["r--s"] >= 8 * 1000 * 1000)
      assert.is_true(found["rw-s"] >= 160000)
      assert.is_nil(found["rwxs"])
    end
    assert.is_nil(modes()["r--s"])
  end)

  it("are there once, however many workers read them", function()
    local model = lk.tensor.ones { 4 * MIB } -- 32 MiB
    local inv <close> = lk.invoker(model, function(m)
      local sum = m:sum()
      local private = 0
      for kind, kib in processes.read("/proc/self/smaps_rollup"):gmatch "(Private_%a+):%s+(%d+) kB" do
        private = private + (kind ~= "Private_Hugetlb" and tonumber(kib) or 0)
      end
      return sum, private
    end, { n_jobs = 3 })
    for _, sum, private in inv:map { 1, 2, 3, 4, 5, 6 } do
      assert.equal(4 * MIB, sum)
      assert.is_true(private * KIB < 16 * MIB, private .. " KiB are private")
    end
  end)
end)

describe("a full region", function()
  it("is an error of the task that did not fit, and the pool goes on", function()
    local out, err = program.output([[
      local lk = require "lkrun"
      local inv <close> = lk.invoker(nil, function(_, task)
        if task == "large" then return lk.tensor.ones { 1 << 20 } end
        return type(task) == "string" and #task or task
      end, { n_jobs = 2, on_error = "return" })
      local tasks = { 1, "large", ("x"):rep(8 << 20), 4 }
      for round = 1, 3 do
        local results = inv:collect(tasks)
        print(results[1], results.errors[2].message)
        print(results[4], results.errors[3].message)
      end]], { env = { LK_REGION_SIZE = tostring(4 << 20) } })
    assert.equal("", err)
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(6, #lines)
    for i = 1, 6, 2 do
      assert.truthy(lines[i]:find "^1\t.*the region is full", lines[i])
      assert.truthy(lines[i + 1]:find "^4\ttask%[3%]: the region is full: %d+ of its 4194304 bytes are in use",
        lines[i + 1])
    end
  end)
end)

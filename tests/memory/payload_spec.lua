-- Tensors above 64 KiB go to workers and back by a handle on the region: as snapshots, with
-- lifetimes that nothing can outlast.
local lk = require "lkrun"
local region = require "lkrun.core.region"

local KIB <const> = 128 -- f64 elements
local function filled(kib, value) return lk.tensor.full({ kib * KIB }, value) end
local function is_full_of(tensor, value)
  return tensor:get(1) == value and tensor:get(tensor:size(1)) == value and tensor:sum() == value * tensor:size(1)
end

describe("a large tensor", function()
  for _, retries in ipairs { 0, 2 } do
    it("of a task and one of its result never meet in memory, retries = " .. retries, function()
      local inv <close> = lk.invoker(nil, function(_, task)
        task:add(0.5) -- its own copy
        local result = lk.tensor.full({ task:size(1) }, task:get(1))
        return result, task
      end, { n_jobs = 2, retries = retries })
      local i = 0
      for k, result, task in inv:map(function()
        i = i + 1
        if i <= 60 then return filled(70 + i % 3 * 100, i) end
      end) do
        assert.is_true(is_full_of(result, k + 0.5))
        assert.is_true(is_full_of(task, k + 0.5))
        if k % 7 == 0 then collectgarbage() end
      end
    end)
  end

  it("that a generator refills is sent as it was, at 60 KiB and at 70 KiB", function()
    local inv <close> = lk.invoker(nil, function(_, task) return task:sum() end, { n_jobs = 2 })
    for _, kib in ipairs { 60, 70 } do
      local buffer, i = filled(kib, 0), 0
      for k, sum in inv:map(function()
        i = i + 1
        if i <= 50 then
          buffer:fill(i)
          return buffer
        end
      end) do
        assert.equal(k * kib * KIB, sum)
      end
    end
  end)

  it("kept by a worker beyond its task stays what it was", function()
    local kept = {} -- in each worker, its own
    local inv <close> = lk.invoker(nil, function(_, task)
      kept[#kept + 1] = task
      for _, tensor in ipairs(kept) do
        if tensor:get(1) * tensor:size(1) ~= tensor:sum() then return false end
      end
      return #kept
    end, { n_jobs = 2 })
    local i = 0
    for _, count in inv:map(function()
      i = i + 1
      if i <= 40 then return filled(70, i) end
    end) do
      assert.is_truthy(count)
      collectgarbage()
    end
  end)

  it("of a result outlives the invoker and its workers, and is the host's own", function()
    local results
    do
      local inv <close> = lk.invoker(nil, function(_, i) return lk.tensor.full({ 200 * KIB }, i) end, { n_jobs = 2 })
      results = inv:collect { 1, 2, 3, 4 }
    end
    for i = 1, 20 do filled(200, -i) end -- takes and overwrites what is free in the region
    for i = 1, 4 do
      assert.is_true(is_full_of(results[i], i))
      results[i]:fill(10 * i)
      assert.is_true(is_full_of(results[i], 10 * i))
    end
  end)

  it("is unmodified when its task runs again", function()
    local inv <close> = lk.invoker(nil, function(_, task)
      local before, path = task.tensor:sum(), task.path
      task.tensor:fill(7)
      local file = io.open(path)
      if not file then
        assert(io.open(path, "w")):close()
        os.exit(1)
      end
      file:close()
      return before
    end, { n_jobs = 2, retries = 1 })
    for i = 1, 3 do
      local path = os.tmpname()
      os.remove(path)
      finally(function() os.remove(path) end)
      assert.equal(i * 100 * KIB, inv:submit({ tensor = filled(100, i), path = path }):get())
    end
    assert.equal(3, inv:stats().crashes)
  end)

  it("in flight when its worker dies leaves the region as it was", function()
    collectgarbage()
    collectgarbage()
    local before = region.use().used
    do
      local inv <close> = lk.invoker(nil, function(_, task)
        local result = task:clone()
        if task:get(1) % 3 == 0 then os.exit(1) end
        return result
      end, { n_jobs = 2, on_error = "return" })
      local i = 0
      for k, result, err in inv:map(function()
        i = i + 1
        if i <= 30 then return filled(100, i) end
      end) do
        if k % 3 == 0 then
          assert.equal("exit", err.reason)
        else
          assert.is_true(is_full_of(result, k))
        end
      end
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, region.use().used)
  end)

  it("that the consumer drops late is collected before results fill the region", function()
    local window = {} -- luacheck: ignore window
    local inv <close> = lk.invoker(nil, function(_, i) return lk.tensor.full({ 16 << 17 }, i) end, { n_jobs = 2 })
    local most, i = 0, 0
    for k, result in inv:map(function()
      i = i + 1
      if i <= 120 then return i end
    end) do
      window[k % 4 + 1] = result -- keeps it alive so long that it grows old for the generational collector
      most = math.max(most, region.use().used)
    end
    assert.is_true(most < 1 << 30, "of 1.9 GiB, all but 64 MiB of it garbage, " .. (most >> 20) .. " MiB at once")
  end)
end)

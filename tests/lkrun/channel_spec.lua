-- Values of every size between processes: what fits the rings, what does not, and what goes beside.
local lk = require "lkrun"
local region = require "lkrun.core.region"
local processes = require "tests.processes"

local KIB <const>, MIB <const> = 1 << 10, 1 << 20
-- Around a quarter of a ring, a ring, and the size from which tensors go beside.
local sizes = {
  0, 1, 7, 8, 60 * KIB, 64 * KIB - 16, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 70 * KIB, 128 * KIB,
  256 * KIB - 16, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 300 * KIB, 1 * MIB, 5 * MIB + 3,
}

-- A string whose bytes depend on where they are.
local function pattern(length, seed)
  local piece = {}
  for i = 1, 251 do piece[i] = string.char((i * seed + seed) % 256) end
  local block = table.concat(piece)
  return block:rep(length // #block) .. block:sub(1, length % #block)
end

local function used()
  collectgarbage()
  collectgarbage()
  return region.use().used
end

for _, n_jobs in ipairs { 1, 2, 4 } do
  describe(("large values, n_jobs = %d:"):format(n_jobs), function()
    it("strings of every size arrive both ways", function()
      local inv <close> = lk.invoker(nil, function(_, task) return #task, task end, { n_jobs = n_jobs })
      local tasks = {}
      for i, size in ipairs(sizes) do tasks[i] = pattern(size, i) end
      for i, length, text in inv:map(tasks) do
        assert.equal(#tasks[i], length)
        if text ~= tasks[i] then error(("%d bytes arrived changed"):format(length)) end
      end
    end)

    it("many of them one after the other", function()
      local inv <close> = lk.invoker(nil, function(_, task) return task .. task end, { n_jobs = n_jobs })
      local texts = { pattern(5000, 1), pattern(70 * KIB, 2), pattern(1, 3), pattern(200 * KIB, 4) }
      local pulled = 0
      local count = 0
      for i, text in inv:map(function()
        pulled = pulled + 1
        if pulled <= 200 then return texts[pulled % 4 + 1] end
      end) do
        local task = texts[i % 4 + 1]
        if text ~= task .. task then error("task " .. i) end
        count = count + 1
      end
      assert.equal(200, count)
    end)

    it("64 MiB, as a string, as a tensor, and in a table", function()
      local inv <close> = lk.invoker(nil, function(_, task)
        if type(task) == "table" then return { back = task.text, n = #task.text } end
        if type(task) == "string" then return task end
        task:set(1, 5)
        return task
      end, { n_jobs = n_jobs })
      local text = pattern(64 * MIB, 3)
      local tensor = lk.tensor.ones { 8 * MIB }
      local results = inv:collect { text, tensor, { text = text } }
      assert.is_true(results[1] == text)
      assert.equal(8 * MIB + 4, results[2]:sum())
      assert.is_true(results[3].back == text and results[3].n == #text)
      assert.equal(1, tensor:get(1))
    end)

    it("tensors on both sides of the threshold, of every dtype, and views", function()
      local inv <close> = lk.invoker(nil, function(_, task)
        return task:clone(), task, { task, task }
      end, { n_jobs = n_jobs })
      local tensors = {}
      for _, dtype in ipairs { "f64", "f32", "i64", "i32", "u8", "bool" } do
        for _, length in ipairs { 0, 1, 1000, 8192, 8193, 70000 } do
          tensors[#tensors + 1] = lk.tensor.ones({ length }, dtype)
        end
      end
      local matrix = lk.tensor.arange(40000):view { 200, 200 }
      tensors[#tensors + 1] = matrix:t()
      tensors[#tensors + 1] = matrix:select(2, 3)
      tensors[#tensors + 1] = matrix:narrow(1, 5, 100)
      for i, clone, same, pair in inv:map(tensors) do
        local tensor = tensors[i]
        for _, other in ipairs { clone, same, pair[1], pair[2] } do
          assert.equal(tensor.dtype, other.dtype)
          assert.same({ tensor:size() }, { other:size() })
          assert.is_true(tensor:equal(other))
        end
        pair[1]:fill(0)
        assert.is_true(pair[1]:equal(pair[2]), "two places of a result share a tensor")
      end
    end)

    it("a generator that refills one tensor gives the same results below and above the threshold", function()
      for _, bytes in ipairs { 60 * KIB, 70 * KIB } do
        local buffer = lk.tensor.zeros { bytes // 8 }
        local inv <close> = lk.invoker(nil, function(_, task)
          return task:get(1), task:sum(), task
        end, { n_jobs = n_jobs })
        local pulled = 0
        local results = {}
        for i, first, sum, tensor in inv:map(function()
          pulled = pulled + 1
          if pulled > 50 then return nil end
          buffer:fill(pulled)
          return buffer
        end) do
          assert.same({ i, i * (bytes // 8) }, { first, sum })
          results[i] = tensor
        end
        for i = 1, 50 do assert.equal(i * (bytes // 8), results[i]:sum()) end
        assert.equal(51 * (bytes // 8), buffer:fill(51):sum())
      end
    end)

    it("tensors of results stay when the invoker is shut down", function()
      local inv = lk.invoker(nil, function(_, task) return lk.tensor.ones { 20000 }:mul(task) end, { n_jobs = n_jobs })
      local results = inv:collect { 1, 2, 3, 4, 5 }
      inv:shutdown()
      local other <close> = lk.invoker(nil, function() return lk.tensor.ones { 20000 }:mul(-1) end, { n_jobs = n_jobs })
      local more = other:collect { 1, 2, 3, 4, 5 }
      for i = 1, 5 do
        assert.equal(20000 * i, results[i]:sum())
        assert.equal(-20000, more[i]:sum())
        results[i]:set(1, 0)
      end
    end)

    it("the region is as before when all is done", function()
      local before = used()
      local inv = lk.invoker(nil, function(_, task)
        if task == "error" then error(lk.tensor.ones { 20000 }) end
        return { lk.tensor.ones { 20000 }, task }, lk.tensor.ones { 20000 }
      end, { n_jobs = n_jobs, on_error = "return" })
      local text, tensor = pattern(70 * KIB, 1), lk.tensor.ones { 20000 }
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

    it("the region does not fill while a map goes on and on", function()
      local inv <close> = lk.invoker(nil, function(_, task)
        return task.tensor:sum() + #task.text, lk.tensor.ones { 20000 }
      end, { n_jobs = n_jobs })
      local before, most = used(), 0
      local text = pattern(70 * KIB, 1)
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
  end)
end

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
  local program = require "tests.program"

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
      assert.truthy(lines[i + 1]:find "^4\ttask%[3%]: the region is full: %d+ of its 4194304 bytes are in use", lines[i + 1])
    end
  end)
end)

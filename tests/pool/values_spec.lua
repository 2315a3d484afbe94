-- Values of every size sent between processes: on a ring, in pieces, and through the region.
local lk = require "lkrun"

local KIB <const>, MIB <const> = 1 << 10, 1 << 20
-- Bytes around a quarter of a ring, a whole ring, and the size from which tensors go through the region.
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

    it("memory of a task that could be run again serves the next ones as any other", function()
      local inv <close> = lk.invoker(nil, function(_, task)
        task:mul(2)
        return task, lk.tensor.full({ task:numel() }, -task:get(1))
      end, { n_jobs = n_jobs, retries = 1 })
      local pulled = 0
      for i, doubled, negative in inv:map(function()
        pulled = pulled + 1
        if pulled <= 300 then return lk.tensor.full({ 9000 + pulled % 50 * 100 }, pulled) end
      end) do
        local length = 9000 + i % 50 * 100
        assert.same({ 2 * i * length, -2 * i * length }, { doubled:sum(), negative:sum() })
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
  end)
end

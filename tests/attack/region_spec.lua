-- Large tensors sent to and from workers, many more of them than the region has room for at a time.
local lk = require "lkrun"
local program = require "tests.support.program"

local code = [[
local lk = require "lkrun"
local region = require "lkrun.core.region"
local what, bytes, count, ordered = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4] == "ordered"
local inv <close> = lk.invoker(nil, function(_, task)
  if what == "tasks" then return task.number end
  return lk.tensor.ones { bytes // 8 }, task
end, { n_jobs = 3, ordered = ordered })
local k, most, seen, sum = 0, 0, 0, 0
local function tasks()
  k = k + 1
  most = math.max(most, region.use().used)
  if k > count then return nil end
  return what == "tasks" and { number = k, tensor = lk.tensor.ones { bytes // 8 } } or k
end
for i, result, task in inv:map(tasks) do
  assert(i == (what == "tasks" and result or task))
  assert(what == "tasks" or result:size()[1] == bytes // 8)
  seen, sum = seen + 1, sum + i
  most = math.max(most, region.use().used)
end
assert(seen == count and sum == count * (count + 1) // 2)
print(most)
]]

describe("tensors that fill the region many times over", function()
  for _, what in ipairs { "tasks", "results" } do
    for _, order in ipairs { "ordered", "unordered" } do
      it(("as %s of an %s map wait for room"):format(what, order), function()
        for _, bytes in ipairs { 65544, 300000 } do
          program.output(code, { args = { what, tostring(bytes), "300", order }, env = { LK_REGION_SIZE = "8388608" } })
        end
      end)
    end
    it(("as %s take a part of memory only"):format(what), function()
      local most = program.output(code, { args = { what, "1048576", "600", "ordered" } })
      assert.is_true(tonumber(most) < 400 << 20, most)
    end)
  end

  it("are not piled up behind a slow task", function()
    local most = program.output([[
      local lk = require "lkrun"
      local region = require "lkrun.core.region"
      local inv <close> = lk.invoker(nil, function(_, task)
        local until_time = lk.clock() + (task == 1 and 0.5 or 0)
        repeat until lk.clock() >= until_time
        return lk.tensor.ones { 1 << 17 }
      end, { n_jobs = 2 })
      local most, k = 0, 0
      for _ in inv:map(function() k = k + 1 return k <= 600 and k or nil end) do
        most = math.max(most, region.use().used)
      end
      print(most)
    ]])
    assert.is_true(tonumber(most) < 300 << 20, most)
  end)
end)

describe("a future whose result holds a large tensor", function()
  it("gives it as often as it is asked", function()
    for _, n_jobs in ipairs { 1, 2 } do
      local inv <close> = lk.invoker(nil, function(_, n) return lk.tensor.ones { n }, n end, { n_jobs = n_jobs })
      local future = inv:submit(20000)
      for _ = 1, 3 do
        local tensor, n = future:get()
        assert.equal(20000, n)
        assert.equal(1, tensor:get(20000))
      end
    end
  end)
end)

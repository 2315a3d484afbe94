-- LK_BIND: the plan on machines that hwloc makes up, and where workers of this one really are.
local program = require "tests.support.program"

-- The plan as text: a line "node: cpus" for each worker.
local planning = [[
  for _, slot in ipairs(require("lkrun.core.bind").plan(arg[1], tonumber(arg[2]), tonumber(arg[3]))) do
    print(slot.node .. ": " .. table.concat(slot.cpus, " "))
  end
]]

local function plan(topology, mode, jobs, threads)
  return (program.output(planning, {
    env = { HWLOC_SYNTHETIC = topology },
    args = { mode, tostring(jobs), tostring(threads or 1) },
  }))
end

local large <const> = "pack:2 [numa] core:32 pu:2" -- 64 cores on 2 sockets, 128 CPUs

describe("the plan for LK_BIND=core", function()
  it("gives workers cores of their own, on both sockets in turn", function()
    assert.equal("0: 0 1\n1: 64 65\n0: 2 3\n1: 66 67\n0: 4 5\n", plan(large, "core", 5))
  end)

  it("uses each core of a 2-socket 64-core machine once for 64 workers", function()
    local seen, cores, nodes = {}, 0, { ["0"] = 0, ["1"] = 0 }
    for node, first, second in plan(large, "core", 64):gmatch "(%d): (%d+) (%d+)\n" do
      assert.equal(first + 1, second + 0)
      assert.equal(node, first + 0 < 64 and "0" or "1")
      assert.is_nil(seen[first])
      seen[first], cores, nodes[node] = true, cores + 1, nodes[node] + 1
    end
    assert.same({ 64, { ["0"] = 32, ["1"] = 32 } }, { cores, nodes })
  end)

  it("begins anew where there are more workers than cores", function()
    assert.equal("0: 0\n1: 2\n0: 1\n1: 3\n0: 0\n1: 2\n", plan("pack:2 [numa] core:2 pu:1", "core", 6))
  end)

  it("gives a worker with BLAS threads that many cores of one node", function()
    assert.equal("0: 0 1 2\n1: 8 9 10\n0: 3 4 5\n1: 11 12 13\n0: 0 1 2\n",
      plan("pack:2 [numa] core:8 pu:1", "core", 5, 3))
    assert.equal("0: 0 1\n0: 0 1\n", plan("pack:1 [numa] core:2 pu:1", "core", 2, 8)) -- what there is
  end)

  it("knows several NUMA nodes of one socket", function()
    assert.equal("0: 0\n1: 2\n2: 4\n3: 6\n0: 1\n", plan("pack:2 group:2 [numa] core:2 pu:1", "core", 5))
  end)
end)

describe("the plan for LK_BIND=numa", function()
  it("gives workers the CPUs of whole nodes in turn", function()
    assert.equal("0: 0 1 2 3\n1: 4 5 6 7\n0: 0 1 2 3\n", plan("pack:2 [numa] core:2 pu:2", "numa", 3))
  end)

  it("is the whole machine where it is one node", function()
    assert.equal("0: 0 1 2\n0: 0 1 2\n", plan("pack:1 core:3 pu:1", "numa", 2))
  end)
end)

-- A program that writes the CPUs on which three workers may run, and those of the program itself before and after.
local asking = [[
  local lk = require "lkrun"
  local function allowed()
    local file <close> = io.open "/proc/self/status"
    return file:read "a":match "Cpus_allowed_list:%s*(%S+)"
  end
  local before = allowed()
  do
    local inv <close> = lk.invoker(nil, function(_, seconds)
      local finish = lk.clock() + seconds
      while lk.clock() < finish do end -- until each has had one
      return allowed()
    end, { n_jobs = 3 })
    local places, tasks = {}, {}
    for i = 1, 12 do tasks[i] = 0.02 end
    for _, place in inv:map(tasks) do places[place] = true end
    local list = {}
    for place in pairs(places) do list[#list + 1] = place end
    table.sort(list)
    print(table.concat(list, " "))
  end
  print(allowed() == before)
]]

describe("LK_BIND", function()
  local function first_allowed()
    return program.capture "sed -n 's/^Cpus_allowed_list:[[:space:]]*\\([0-9]*\\).*/\\1/p' /proc/self/status"
  end

  it("core gives every worker one core, and the program its CPUs as before", function()
    local out, err = program.output(asking, { env = { LK_BIND = "core", LK_LOG_LEVEL = "debug" } })
    local places, same = out:match "^(.-)\n(%l+)\n$"
    assert.equal("true", same)
    local planned = {}
    for worker, list in err:gmatch "DEBUG lkrun: worker (%d) is bound to CPU (%S+) of NUMA node" do
      planned[tonumber(worker)] = list
    end
    assert.equal(3, #planned)
    for place in places:gmatch "%S+" do
      assert.is_true(place == planned[1] or place == planned[2] or place == planned[3], place)
    end
  end)

  it("stays within the CPUs that the program may use", function()
    local cpu = first_allowed()
    local out = program.output(asking, { env = { LK_BIND = "core" }, before = "taskset -c " .. cpu })
    assert.equal(cpu .. "\ntrue\n", out)
    out = program.output(asking, { env = { LK_BIND = "numa" }, before = "taskset -c " .. cpu })
    assert.equal(cpu .. "\ntrue\n", out)
  end)

  it("none, empty or not there leaves workers where the program is", function()
    local cpus = program.capture "sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status"
    for _, value in ipairs { "none", "" } do
      assert.equal(cpus .. "\ntrue\n", (program.output(asking, { env = { LK_BIND = value } })))
    end
    assert.equal(cpus .. "\ntrue\n", (program.output(asking)))
  end)

  it("of another value is an error that names it, in place too", function()
    for _, n_jobs in ipairs { 1, 2 } do
      local result = program.run("require('lkrun').invoker(nil, print, { n_jobs = " .. n_jobs .. " })",
        { env = { LK_BIND = "cores" } })
      assert.equal(1, result.status)
      assert.matches("LK_BIND: the value is 'cores'; expected none, core or numa", result.err)
    end
  end)

  it("holds for a worker that replaces another", function()
    local out = program.output([[
      local core = require("lkrun.core.bind").plan("core", 1)[1].cpus
      local inv <close> = require("lkrun").invoker(nil, function(_, i)
        if i % 2 == 1 then os.exit(1) end
        local file <close> = io.open "/proc/self/status"
        return file:read "a":match "Cpus_allowed_list:%s*(%S+)"
      end, { n_jobs = 2, on_error = "return" })
      for i, place in inv:map { 1, 2, 3, 4, 5, 6, 7, 8 } do
        local count = 0
        for first, last in (place or ""):gmatch "(%d+)%-?(%d*)" do
          count = count + (last == "" and 1 or last - first + 1)
        end
        assert(i % 2 == 1 or count == #core, place)
      end
      print(inv:stats().crashes)
    ]], { env = { LK_BIND = "core" } })
    assert.equal("4\n", out)
  end)
end)

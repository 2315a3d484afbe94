local program = require "tests.support.program"

local show = [[
  local c = require "lkrun".config()
  print(c.processes, c.threads, c.backend_threads, c.child_threads, c.total_threads)
]]

-- The five numbers of lk.config in a fresh process; the second value is what it wrote to stderr.
local function configured(env, parameters)
  local out, err = program.output(
    ("local lk = require 'lkrun'; lk.initialize(%s)\n%s"):format(parameters or "", show), { env = env })
  local values = {}
  for value in out:gmatch "%S+" do values[#values + 1] = math.tointeger(value) end
  return values, err
end

local function refusal(env, parameters)
  local result = program.run(
    ("print(pcall(require 'lkrun'.initialize, %s))"):format(parameters or "nil"), { env = env })
  return result.out
end

local function clamp(value, low, high) return math.max(low, math.min(value, high)) end

local cpus = require "lkrun".cpu_count()

describe("the defaults", function()
  it("are those of the table, for the CPUs there are", function()
    local processes, threads = math.min(cpus, 4), math.min(cpus, 8)
    local backend = clamp(cpus // threads, 1, 4)
    assert.same({ processes, threads, backend, clamp(cpus // processes, 1, 4), threads * backend },
      (configured()))
  end)

  it("of the last two follow the resolved counts", function()
    local c = configured({ LK_NUM_PROCS = "1" }, "{threads = 1}")
    assert.same({ 1, 1, clamp(cpus, 1, 4), clamp(cpus, 1, 4), clamp(cpus, 1, 4) }, c)
    c = configured({ LK_NUM_THREADS = "3000", LK_NUM_PROCS = "3000" })
    assert.same({ 3000, 3000, 1, 1, 3000 }, c)
  end)
end)

describe("precedence", function()
  local env = {
    LK_NUM_PROCS = "5", LK_NUM_THREADS = "6", LK_NUM_BACKEND_THREADS = "7", LK_NUM_CHILD_THREADS = "8",
  }

  it("puts a variable before the default", function()
    assert.same({ 5, 6, 7, 8, 42 }, (configured(env)))
  end)

  it("puts a parameter before the variable", function()
    assert.same({ 1, 2, 3, 4, 6 },
      (configured(env, "{processes = 1, threads = 2, backend_threads = 3, child_threads = 4}")))
    assert.same({ 9, 6, 7, 8, 42 }, (configured(env, "{processes = 9}")))
  end)

  it("counts an empty variable as unset", function()
    local empty = {}
    for name in pairs(env) do empty[name] = "" end
    empty.SLURM_CPUS_PER_TASK = ""
    assert.same((configured()), (configured(empty)))
  end)

  it("tells where each value comes from", function()
    local sources = [[
      require "lkrun".initialize{threads = 2}
      local s = require "lkrun.core.config".sources()
      print(s.processes, s.threads, s.backend_threads, s.child_threads, s.cpus, s.granted_by)
    ]]
    assert.equal(("variable\tparameter\tdefault\tdefault\t%d\tnil\n"):format(cpus),
      (program.output(sources, { env = { LK_NUM_PROCS = "2" } })))
    assert.equal("variable\tparameter\tgrant\tgrant\t12\tSLURM_CPUS_PER_TASK\n",
      (program.output(sources, { env = { LK_NUM_PROCS = "2", SLURM_CPUS_PER_TASK = "12" } })))
  end)
end)

describe("a bad variable", function()
  local variables = {
    "LK_NUM_PROCS", "LK_NUM_THREADS", "LK_NUM_BACKEND_THREADS", "LK_NUM_CHILD_THREADS", "SLURM_CPUS_PER_TASK",
  }
  for _, value in ipairs { "0", "-3", "many", "1e9", " 2x", "2 ", "+2", "0x2", "1.0", "32769",
    "18446744073709551617" } do
    it(("of %q is an error that names it and its value"):format(value), function()
      for _, name in ipairs(variables) do
        local out = refusal { [name] = value }
        assert.truthy(out:find(("^false\tlkrun: %s: \"%s\" found; expected a whole number from 1 to 32768")
          :format(name, value:gsub("%p", "%%%0"))), out)
      end
    end)
  end

  it("of -1 is one too, but for the backend", function()
    for _, name in ipairs(variables) do
      local out = refusal { [name] = "-1" }
      assert.equal(name == "LK_NUM_BACKEND_THREADS", out:find "^true" ~= nil, out)
    end
  end)

  it("is an error of everything that needs the configuration", function()
    for _, name in ipairs { "ensure_parallel_init", "config", "proc_count" } do
      local code = ("print(pcall(require 'lkrun'.%s))"):format(name)
      local out = program.output(code, { env = { LK_NUM_PROCS = "x" } })
      assert.truthy(out:find("LK_NUM_PROCS: \"x\"", 1, true), out)
    end
  end)

  it("leaves nothing initialized", function()
    local out, err = program.output([[
      local lk = require "lkrun"
      assert(not pcall(lk.initialize, {processes = 0}))
      lk.initialize{processes = 3}
      print(lk.proc_count())
    ]])
    assert.equal("3\n", out)
    assert.equal("", err)
  end)
end)

describe("a bad parameter", function()
  for parameters, message in pairs {
    ["{processes = 0}"] = "processes = 0 found",
    ["{threads = -1}"] = "threads = -1 found",
    ["{threads = 1.5}"] = "threads = 1.5 found",
    ["{threads = 0/0}"] = "nan found",
    ["{child_threads = '4'}"] = "child_threads = '4' found",
    ["{backend_threads = true}"] = "backend_threads = true found",
    ["{backend_threads = -2}"] = "backend_threads = -2 found; expected a whole number from 1 to 32768, or -1",
    ["{processes = 1 << 32}"] = "processes = 4294967296 found",
    ["{process = 1}"] = "unknown parameter 'process' (did you mean 'processes'?) found; expected processes, threads",
    ["{4}"] = "unknown parameter 1 found",
    ["{[{}] = 4}"] = "unknown parameter a table found",
    ["4"] = "a number found; expected a table",
  } do
    it(("as in %s is an error that names it"):format(parameters), function()
      local out = refusal(nil, parameters)
      assert.truthy(out:find("^false\tlkrun: lk.initialize: "), out)
      assert.truthy(out:find(message, 1, true), out)
    end)
  end

  it("of a whole float is none", function()
    assert.equal(3, (configured(nil, "{processes = 3.0}"))[1])
  end)
end)

describe("initialize", function()
  it("warns the second time and changes nothing", function()
    local out, err = program.output([[
      local lk = require "lkrun"
      lk.initialize{processes = 3}
      lk.initialize{processes = 5, nonsense = 1}
      print(lk.proc_count())
    ]])
    assert.equal("3\n", out)
    assert.truthy(err:find("WARN.*lk.initialize: already initialized; nothing was changed"), err)
    assert.equal(1, select(2, err:gsub("\n", "")))
  end)

  it("comes too late after anything that needed the configuration", function()
    local _, err = program.output [[
      local lk = require "lkrun"
      lk.ensure_parallel_init()
      lk.ensure_parallel_init()
      lk.initialize()
    ]]
    assert.equal(1, select(2, err:gsub("already initialized", "")))
  end)
end)

describe("a scheduler's grant", function()
  it("is used whole by the defaults", function()
    assert.same({ 24, 24, 1, 1, 24 }, (configured { SLURM_CPUS_PER_TASK = "24" }))
    assert.same({ 2, 3, 8, 12, 24 },
      (configured({ SLURM_CPUS_PER_TASK = "24" }, "{processes = 2, threads = 3}")))
  end)

  it("reduces what is above it, with one warning", function()
    local values, err = configured({ SLURM_CPUS_PER_TASK = "6", LK_NUM_PROCS = "7", LK_NUM_THREADS = "6" },
      "{child_threads = 100}")
    assert.same({ 6, 6, 1, 6, 6 }, values)
    assert.equal(1, select(2, err:gsub("\n", "")))
    assert.truthy(err:find("LK_NUM_PROCS = 7, child_threads = 100 above the 6 CPUs granted by "
      .. "SLURM_CPUS_PER_TASK; reduced to 6", 1, true), err)
  end)

  it("reduces nothing at or below it, nor a backend left alone", function()
    local values, err = configured {
      SLURM_CPUS_PER_TASK = "6", LK_NUM_PROCS = "6", LK_NUM_BACKEND_THREADS = "-1",
    }
    assert.same({ 6, 6, -1, 1, 6 }, values)
    assert.equal("", err)
  end)

  it("is not what a machine without a scheduler has", function()
    local values, err = configured({ LK_NUM_PROCS = tostring(cpus + 5) })
    assert.equal(cpus + 5, values[1])
    assert.equal("", err)
  end)
end)

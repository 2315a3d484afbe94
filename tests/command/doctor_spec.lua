local lk = require "lkrun"
local program = require "tests.support.program"

local variables = table.concat({
  "LK_NUM_PROCS", "LK_NUM_THREADS", "LK_NUM_BACKEND_THREADS", "LK_NUM_CHILD_THREADS", "LK_BIND", "LK_REGION_SIZE",
  "SLURM_CPUS_PER_TASK", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "GOTO_NUM_THREADS", "MAKEFLAGS",
}, " ")

-- What the doctor says with these words of the shell before it.
local function doctor(words, arguments)
  return program.shell(("unset %s; %s $LKRUN doctor %s"):format(variables, words or "", arguments or ""))
end

local function report(words)
  local result = doctor(words, "--json")
  return lk.json.decode(result.out), result
end

-- The number of the first CPU that the tests may run on.
local first_cpu = program.capture "sed -n 's/^Cpus_allowed_list:[[:space:]]*\\([0-9]*\\).*/\\1/p' /proc/self/status"

local function finds(list, pattern)
  for _, problem in ipairs(list) do
    if problem.found:find(pattern) then return problem end
  end
end

describe("lkrun doctor", function()
  it("says what would be used, and why", function()
    local text = doctor("LK_NUM_PROCS=2 LK_NUM_THREADS=1 LK_NUM_BACKEND_THREADS=1").out
    assert.matches("^lkrun " .. lk.VERSION:gsub("%.", "%%.") .. " on Linux ", text)
    assert.matches("\n  usable +" .. lk.cpu_count() .. " ", text)
    assert.matches("\n  processes +2 +variable: LK_NUM_PROCS=2\n", text)
    assert.matches("\n  child_threads +%d+ +default: %d+ CPUs for processes = 2, at most 4\n", text)
    assert.matches("\n  OpenBLAS +%d[%d.]+ +/", text)
    assert.matches("\n  hwloc +%d[%d.]+ +/", text)
    assert.matches("\n  open files +%d+", text)
  end)

  it("says the same as JSON", function()
    local found, result = report "LK_NUM_PROCS=3"
    assert.equal("", result.err)
    assert.equal(lk.VERSION, found.lkrun)
    assert.same({ value = 3, source = "variable", variable = "LK_NUM_PROCS", reason = "LK_NUM_PROCS=3" },
      found.configuration.processes)
    assert.equal("default", found.configuration.threads.source)
    assert.equal(lk.cpu_count(), found.cpus.count)
    assert.is_true(found.blas.threads >= 1)
    assert.is_true(found.memory.total > 0)
    assert.equal("none", found.binding.mode)
    assert.is_table(found.problems)
  end)

  it("tells of variables that begin like lkrun's and are none of them", function()
    local problems = report("LK_NUM_PROC=3 LK_SOMETHING_ELSE=1 LK_TRACE= ").problems
    local near = finds(problems,
      "^LK_NUM_PROC is set, which is not a variable of lkrun %(did you mean 'LK_NUM_PROCS'%?")
    assert.equal("warning", near.level)
    assert.equal("note", finds(problems, "^LK_SOMETHING_ELSE is set, which is not a variable of lkrun$").level)
    assert.is_nil(finds(problems, "^LK_TRACE"))
  end)

  it("counts the affinity mask", function()
    local found = report("taskset -c " .. first_cpu)
    assert.equal(1, found.cpus.affinity)
    assert.equal(1, found.cpus.count)
    assert.equal("1 CPUs, at most 4", found.configuration.processes.reason)
  end)

  it("uses a scheduler's grant, and says where it is exceeded", function()
    local found = report "SLURM_CPUS_PER_TASK=12 LK_NUM_THREADS=30"
    assert.equal("SLURM_CPUS_PER_TASK", found.configuration.granted_by)
    assert.same({ 12, "scheduler" }, { found.configuration.processes.value, found.configuration.processes.source })
    assert.equal(12, found.configuration.threads.value)
    assert.truthy(finds(found.problems, "^LK_NUM_THREADS=30 is above the 12 CPUs granted by SLURM_CPUS_PER_TASK"))
  end)

  it("says who would run where", function()
    local words = "HWLOC_SYNTHETIC='numa:2 core:2 pu:1' LK_BIND=core LK_NUM_PROCS=5"
    local found = report(words)
    assert.same({ packages = 0, cores = 4, cpus = 4, numa_nodes = 2 }, found.topology)
    assert.same({ node = 1, cpus = { 2 } }, found.binding.workers[2])
    assert.truthy(finds(found.problems, "^LK_BIND=core has fewer places than there are workers"))
    assert.matches("\n  worker 2 +CPU 2 +NUMA node 1\n", doctor(words).out)
    local bad, result = report "LK_BIND=cores"
    assert.truthy(finds(bad.problems, "the value is 'cores'; expected none, core or numa"))
    assert.equal(1, result.status)
  end)

  it("names a bad variable, and goes on with the rest", function()
    local result = doctor "LK_NUM_PROCS=many"
    assert.equal(1, result.status)
    assert.matches('Problems\n  1%. error: configuration: LK_NUM_PROCS: "many" found; expected', result.out)
    assert.matches("\n  OpenBLAS +%d", result.out)
  end)

  it("names limits that are too low, and what to do", function()
    local files = report "ulimit -S -n 60;"
    local problem = finds(files.problems, "at most 60 files may be open")
    assert.equal("error", problem.level)
    assert.matches("^ulimit %-n %d+$", problem.advice)
    local size, result = report "ulimit -f 1000;"
    assert.equal(1, result.status)
    assert.equal("ulimit -f unlimited", finds(size.problems, "files may have 1024000 bytes").advice)
  end)

  it("says who governs the threads of BLAS, and more of them than CPUs", function()
    assert.truthy(finds(report("OPENBLAS_NUM_THREADS=1").problems, "^OPENBLAS_NUM_THREADS governs"))
    assert.truthy(finds(report("taskset -c " .. first_cpu .. " env LK_NUM_PROCS=2 LK_NUM_CHILD_THREADS=3").problems,
      "^processes = 2 times child_threads = 3 is more than the 1 CPUs"))
    assert.truthy(finds(report("LK_NUM_PROCS=1000").problems, "^processes = 1000 times"))
  end)

  it("says nothing wrong of a plain configuration but what the machine is to blame for", function()
    local found = report "LK_NUM_PROCS=1 LK_NUM_THREADS=1 LK_NUM_CHILD_THREADS=1 LK_NUM_BACKEND_THREADS=1"
    for _, problem in ipairs(found.problems) do
      assert.is_nil(problem.found:find "LK_" or problem.found:find "configuration", problem.found)
      assert.is_true(#problem.advice > 0)
    end
  end)

  it("refuses arguments that it does not know", function()
    local result = doctor("", "--jsno")
    assert.equal(2, result.status)
    assert.matches("^lkrun: doctor: ", result.err)
  end)
end)

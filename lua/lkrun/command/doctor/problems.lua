--- Judges the facts of `lkrun doctor`: what is wrong, and what to do about it. An error keeps something from
--- working, a warning makes it slow or surprising, a note is good to know.
local facts = require "lkrun.command.doctor.facts"

local problems = {}

-- How many file descriptors a worker needs, and how many the program itself.
local FILES_A_WORKER <const>, FILES_OWN <const> = 8, 64
local GIB <const> = 1 << 30

local function judge_configuration(add, report)
  local config, cpus = report.configuration, report.cpus
  if config.problem then
    add("error", "configuration: " .. config.problem, "correct the variable, or unset it")
    return
  end
  for _, knob in ipairs(facts.knobs) do
    local asked = math.tointeger(tonumber(os.getenv(knob.variable) or ""))
    if asked and config.granted_by and asked > config.cpus then
      add("warning", ("%s=%d is above the %d CPUs granted by %s, and was reduced to that"):format(
        knob.variable, asked, config.cpus, config.granted_by), "ask the scheduler for more CPUs, or unset it")
    end
  end
  if config.granted_by and cpus.count < config.cpus then
    add("warning", ("%s granted %d CPUs, but this process may use %d"):format(
      config.granted_by, config.cpus, cpus.count), "bind the job to all CPUs it was granted")
  end
  local available = config.granted_by and config.cpus or cpus.count
  local function product(a, b, what)
    local first, second = config[a].value, config[b].value
    if first * math.max(second, 1) > available then
      add("warning", ("%s = %d times %s = %d is more than the %d CPUs there are: %s share them"):format(
        a, first, b, second, available, what), ("lower one of them: %s or %s"):format(
        config[a].variable, config[b].variable))
    end
  end
  product("processes", "child_threads", "workers")
  product("threads", "backend_threads", "threads")
end

local function judge_variables(add, report)
  local known = require "lkrun.internal.variables"
  for _, name in ipairs(report.unknown_variables) do
    local question = require("lkrun.internal.refusals").question(name, known)
    add(question ~= "" and "warning" or "note",
      ("%s is set, which is not a variable of lkrun%s"):format(name, question),
      question ~= "" and "correct its name, or unset it" or "unset it, unless another program reads it")
  end
end

local function judge_binding(add, report)
  local plan = report.binding
  if plan.problem then add("error", plan.problem, "set LK_BIND to none, core or numa") end
  if plan.shared then
    add("warning", ("LK_BIND=%s has fewer places than there are workers: some share one"):format(plan.mode),
      "lower LK_NUM_PROCS, or leave LK_BIND unset")
  end
end

local function judge_blas(add, report)
  local blas = report.blas
  if blas.problem then
    add("error", blas.problem, "install libopenblas0-pthread: apt-get install libopenblas0-pthread")
    return
  end
  if blas.parallel == "openmp" then
    add("warning", "OpenBLAS is an OpenMP build, with which a worker uses one thread",
      "apt-get install libopenblas0-pthread, and choose it with update-alternatives")
  end
  if blas.kernel == "Prescott" or blas.kernel == "Generic" then
    add("warning", ("OpenBLAS uses kernels for %s, the slowest there are"):format(blas.kernel),
      "set OPENBLAS_CORETYPE to this CPU's (Haswell, SkylakeX, Zen), or install a newer OpenBLAS")
  end
  if blas.variable then
    add("note", ("%s governs the threads of OpenBLAS, and LK_NUM_BACKEND_THREADS does not"):format(blas.variable),
      "unset it to leave that to lkrun")
  end
end

local function judge_libraries(add, report)
  for _, library in ipairs(report.libraries) do
    if library.problem then
      add(library.name == "libedit" and "note" or "warning", ("%s, for %s, could not be loaded: %s"):format(
        library.name, library.needed_for, library.problem), "apt-get install " .. library.package)
    end
  end
end

local function judge_limits(add, report)
  local limits, config = report.limits, report.configuration
  local workers = config.problem and 1 or config.processes.value
  local files = limits.open_files.soft
  if files and files < FILES_OWN + FILES_A_WORKER * workers then
    add("error", ("at most %d files may be open, too few for %d worker%s"):format(files, workers,
        workers == 1 and "" or "s"),
      (limits.open_files.hard or math.maxinteger) > files and "ulimit -n " .. (limits.open_files.hard or 65536)
      or "raise the hard limit (/etc/security/limits.conf, LimitNOFILE= of systemd)")
  end
  local processes = math.min(limits.processes.soft or math.maxinteger, limits.cgroup_processes or math.maxinteger)
  if processes < 32 + workers then
    add("warning", ("at most %d processes may run, those of all of the user's programs included"):format(processes),
      "ulimit -u, or the pids.max of the cgroup, to a few hundred more than there are workers")
  end
  if limits.file_size.soft then
    add("error", ("files may have %d bytes at most, and shared memory is one"):format(limits.file_size.soft),
      "ulimit -f unlimited")
  end
  for _, name in ipairs { "address_space", "data" } do
    if limits[name].soft and limits[name].soft < report.system.memory then
      add("error", ("the limit on %s is %.1f GiB, and lkrun reserves as much as there is memory"):format(
        name:gsub("_", " "), limits[name].soft / GIB),
        name == "data" and "ulimit -d unlimited" or "ulimit -v unlimited; memory_limit bounds workers")
    end
  end
end

local function judge_memory(add, report)
  local memory = report.memory
  if memory.overcommit == 2 then
    add("warning", "vm.overcommit_memory is 2: shared memory that is reserved counts as used",
      "LK_REGION_SIZE to what the models need, or sysctl vm.overcommit_memory=0")
  end
  if memory.available and memory.available < GIB then
    add("warning", ("%.1f GiB of memory are left"):format(memory.available / GIB), "end other programs")
  end
  if memory.cgroup_limit and memory.total and memory.cgroup_limit < memory.total then
    add("note", ("the cgroup allows %.1f of %.1f GiB; models, tasks and results together must fit in that"):format(
      memory.cgroup_limit / GIB, memory.total / GIB), "raise its memory.max where that is too little")
  end
end

local function judge_system(add, report)
  if not report.system.memfd then
    add("error", "memfd_create does not work here: no shared memory can be made", "run on Linux 3.17 or later")
  end
  if not report.system.pidfd then
    add("note", "pidfd_open does not work here: the death of a worker is seen up to 20 ms later",
      "run on Linux 5.3 or later, or allow it in the container's seccomp profile")
  end
  if report.topology.problem then
    add("warning", report.topology.problem, "LK_BIND needs it; everything else works")
  end
end

--- The problems of a report, the worst first.
---@param report table of lkrun.command.doctor.facts
---@return { level: "error"|"warning"|"note", found: string, advice: string }[]
function problems.of(report)
  local list = {}
  local function add(level, found, advice) list[#list + 1] = { level = level, found = found, advice = advice } end
  judge_configuration(add, report)
  judge_variables(add, report)
  judge_binding(add, report)
  judge_blas(add, report)
  judge_libraries(add, report)
  judge_limits(add, report)
  judge_memory(add, report)
  judge_system(add, report)
  local ranks = { error = 1, warning = 2, note = 3 }
  local sorted = {}
  for rank = 1, 3 do
    for _, problem in ipairs(list) do
      if ranks[problem.level] == rank then sorted[#sorted + 1] = problem end
    end
  end
  return sorted
end

return problems

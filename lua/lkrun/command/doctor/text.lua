--- The report of `lkrun doctor` as text for people.
local facts = require "lkrun.command.doctor.facts"

local text = {}

local function bytes(count)
  if not count then return "unlimited" end
  local units = { "bytes", "KiB", "MiB", "GiB", "TiB" }
  local unit = 1
  while count >= 1024 and unit < #units do count, unit = count / 1024, unit + 1 end
  return ("%.4g %s"):format(count, units[unit])
end

local function number(count) return count and ("%d"):format(count) or "unlimited" end

local function plural(count, one, many) return ("%d %s"):format(count, count == 1 and one or many) end

-- A sorted list of CPUs as "0-3,8".
local function ranges(cpus)
  local parts, at = {}, 1
  while at <= #cpus do
    local last = at
    while cpus[last + 1] == cpus[last] + 1 do last = last + 1 end
    parts[#parts + 1] = last > at and ("%d-%d"):format(cpus[at], cpus[last]) or tostring(cpus[at])
    at = last + 1
  end
  return table.concat(parts, ",")
end

local function write_cpus(add, report)
  local cpus, topology = report.cpus, report.topology
  add "CPUs"
  add("  machine", plural(cpus.machine, "CPU", "CPUs"), cpus.model)
  if not topology.problem then
    add("  topology", ("%s, %s, %s"):format(plural(topology.packages, "package", "packages"),
      plural(topology.cores, "core", "cores"), plural(topology.numa_nodes, "NUMA node", "NUMA nodes")))
  end
  add("  affinity", number(cpus.affinity), "the mask of this process (taskset)")
  if cpus.cpuset then add("  cpuset", number(cpus.cpuset), "of its cgroup") end
  add("  quota", cpus.quota and number(cpus.quota) or "none", "CPU time of its cgroup, rounded up")
  add("  usable", number(cpus.count), "the least of these")
  local config = report.configuration
  if config.granted_by then add("  granted", number(config.cpus), "by " .. config.granted_by) end
end

local function write_configuration(add, report)
  local config = report.configuration
  add ""
  add "Configuration"
  if config.problem then
    add("  " .. config.problem)
    return
  end
  for _, knob in ipairs(facts.knobs) do
    local setting = config[knob.name]
    add("  " .. knob.name, tostring(setting.value), ("%s: %s"):format(setting.source, setting.reason))
  end
end

local function write_binding(add, report)
  local plan = report.binding
  add ""
  add "Workers"
  add("  LK_BIND", plan.mode or "?", plan.mode == "none" and "they run on any CPU" or nil)
  if report.jobserver then add("  jobserver", "make's", "it says how many of them run at a moment") end
  for i, slot in ipairs(plan.workers or {}) do
    if i > 8 then
      add(("  ... %d more"):format(#plan.workers - 8))
      break
    end
    add("  worker " .. i, "CPU " .. ranges(slot.cpus), "NUMA node " .. slot.node)
  end
end

local function write_blas(add, report)
  local blas = report.blas
  add ""
  add "BLAS"
  if blas.problem then
    add("  " .. blas.problem)
    return
  end
  add("  OpenBLAS", blas.version or "?", blas.library)
  add("  kernel", blas.kernel or "?", "the CPU it computes for")
  add("  threads", tostring(blas.threads), ("%s, at most %s"):format(blas.parallel, number(blas.max_threads)))
end

local function write_libraries(add, report)
  add ""
  add "Libraries"
  for _, library in ipairs(report.libraries) do
    add("  " .. library.name, library.version or (library.path and "" or "missing"),
      library.path or library.needed_for and "for " .. library.needed_for)
  end
end

local function write_limits(add, report)
  local limits, memory = report.limits, report.memory
  add ""
  add "Limits"
  add("  processes", number(limits.processes.soft), limits.cgroup_processes
    and ("%d in the cgroup"):format(limits.cgroup_processes) or nil)
  add("  open files", number(limits.open_files.soft), limits.open_files.hard
    and limits.open_files.hard > (limits.open_files.soft or math.maxinteger)
    and ("can be raised to %d"):format(limits.open_files.hard) or nil)
  add("  file size", bytes(limits.file_size.soft))
  add("  address space", bytes(limits.address_space.soft))
  add("  memory", bytes(memory.total), memory.available and bytes(memory.available) .. " available" or nil)
  if memory.cgroup_limit then add("  of the cgroup", bytes(memory.cgroup_limit)) end
  add("  shared memory", memory.region or bytes(report.system.memory), memory.region and "LK_REGION_SIZE"
    or "reserved; used as models need it")
end

local function write_gpus(add, report)
  add ""
  add "GPUs"
  local list = report.gpus.list or {}
  if #list == 0 then add "  none" end
  for _, gpu in ipairs(list) do
    add("  " .. gpu.bus, gpu.name, report.gpus.driver and "driver " .. report.gpus.driver or nil)
  end
end

local function write_problems(add, list)
  add ""
  if #list == 0 then
    add "No problem was found."
    return
  end
  add "Problems"
  for i, problem in ipairs(list) do
    add(("  %d. %s: %s"):format(i, problem.level, problem.found))
    add(("     %s"):format(problem.advice))
  end
end

--- The whole report.
---@param report table
---@param problems table
---@return string
function text.of(report, problems)
  local lines = {}
  local function add(name, value, note)
    local line = value and ("%-18s %-10s %s"):format(name, value, note or "") or name
    lines[#lines + 1] = line:gsub(" +$", "")
  end
  local system = report.system
  add(("lkrun %s on Linux %s, %s"):format(report.lkrun, system.kernel, system.machine))
  add ""
  write_cpus(add, report)
  write_configuration(add, report)
  write_binding(add, report)
  write_blas(add, report)
  write_libraries(add, report)
  write_limits(add, report)
  write_gpus(add, report)
  write_problems(add, problems)
  return table.concat(lines, "\n")
end

return text

--- What lkrun would use here, and where each number comes from, as one table: the one that `lkrun doctor
--- --json` prints. A part that can't be found out has only a field `problem`.
local lk = require "lkrun"
local doctor = require "lkrun.core.doctor"

local facts = {}

-- Collects a part of the report: its table, or { problem = } with the message where that raises.
local function try(collect, ...)
  local good, part = pcall(collect, ...)
  return good and part or { problem = (tostring(part):gsub("^lkrun: ", "")) }
end

local function first_line(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "l" or nil
end

local function variable(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

-- The environment's variables LK_… that lkrun does not read.
local function unknown_variables()
  local known, list = require "lkrun.internal.variables", {}
  local file <close> = io.open("/proc/self/environ", "rb")
  for name in ("\0" .. (file and file:read "a" or "")):gmatch "%z(LK_[^=%z]*)=" do
    if not known[name] then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- --- CPUs ---

local function model_name()
  local file <close> = io.open "/proc/cpuinfo"
  for line in file and file:lines() or function() end do
    local name = line:match "^model name%s*:%s*(.-)%s*$"
    if name then return name end
  end
end

local function cpus_of(system)
  local cpu = require "lkrun.core.cpu"
  local limits = cpu.limits()
  local function limit(value) return value > 0 and value or nil end
  return {
    machine = system.cpus, model = model_name(), affinity = limit(limits.affinity), cpuset = limit(limits.cpuset),
    quota = limit(limits.quota), count = limits.count,
  }
end

-- --- the four knobs ---

local knobs = {
  { name = "processes", variable = "LK_NUM_PROCS", of = nil, cap = 4 },
  { name = "threads", variable = "LK_NUM_THREADS", of = nil, cap = 8 },
  { name = "backend_threads", variable = "LK_NUM_BACKEND_THREADS", of = "threads", cap = 4 },
  { name = "child_threads", variable = "LK_NUM_CHILD_THREADS", of = "processes", cap = 4 },
}
facts.knobs = knobs

local source_names = { grant = "scheduler" }

-- Where the value of a knob comes from, in words.
local function reason_of(knob, sources, values)
  local source = sources[knob.name]
  if source == "variable" then return ("%s=%s"):format(knob.variable, os.getenv(knob.variable)) end
  local base = sources.granted_by and ("%d granted by %s"):format(sources.cpus, sources.granted_by)
    or ("%d CPUs"):format(sources.cpus)
  local capped = not sources.granted_by and (", at most %d"):format(knob.cap) or ""
  if knob.of then return ("%s for %s = %d%s"):format(base, knob.of, values[knob.of], capped) end
  return base .. capped
end

local function configuration()
  local core = require "lkrun.core.config"
  local values, sources = core.config(), core.sources()
  local report = { cpus = sources.cpus, granted_by = sources.granted_by }
  for _, knob in ipairs(knobs) do
    report[knob.name] = {
      value = values[knob.name], source = source_names[sources[knob.name]] or sources[knob.name],
      variable = knob.variable, reason = reason_of(knob, sources, values),
    }
  end
  return report
end

-- --- where workers run ---

local function binding(processes, threads)
  local mode = variable "LK_BIND" or "none"
  if mode == "none" then return { mode = mode } end
  if mode ~= "core" and mode ~= "numa" then
    error(("LK_BIND: the value is '%s'; expected none, core or numa"):format(mode), 0)
  end
  local workers, used, shared = {}, {}, false
  for i, slot in ipairs(require("lkrun.core.bind").plan(mode, processes, math.max(threads, 1))) do
    shared = shared or used[slot.cpus[1]] == true
    used[slot.cpus[1]] = true
    workers[i] = slot
  end
  return { mode = mode, workers = workers, shared = shared }
end

-- --- BLAS ---

local function blas()
  local backend = require "lkrun.core.backend"
  backend.load()
  local described = backend.describe()
  local config = described.config
  local path = doctor.library "libopenblas.so.0"
  local words = {}
  for word in config:gmatch "%S+" do words[#words + 1] = word end
  local kernel
  for _, word in ipairs(words) do
    if word:find "^%u[%l%u%d]+$" and not word:find "^%u+$" and word ~= "OpenBLAS" then kernel = word end
  end
  return {
    library = path, version = config:match "OpenBLAS (%S+)", kernel = kernel, parallel = described.parallel,
    threads = described.threads, max_threads = math.tointeger(tonumber(config:match "MAX_THREADS=(%d+)")),
    variable = described.variable, config = config,
  }
end

-- --- libraries ---

local wanted = {
  { name = "hwloc", file = "libhwloc.so.15", symbol = "hwloc_get_api_version", package = "libhwloc15",
    needed_for = "LK_BIND and the topology" },
  { name = "jansson", file = "libjansson.so.4", symbol = "jansson_version_str", package = "libjansson4",
    needed_for = "JSON" },
  { name = "libarchive", file = "libarchive.so.13", symbol = "archive_version_string", package = "libarchive13",
    needed_for = "bundles and .npz files" },
  { name = "libedit", file = "libedit.so.2", package = "libedit2", needed_for = "line editing at the prompt" },
}

local function libraries(system)
  local list = { { name = "Lua", version = system.lua } }
  for _, library in ipairs(wanted) do
    local path, version = doctor.library(library.file, library.symbol)
    local entry = { name = library.name, package = library.package, needed_for = library.needed_for }
    if path then
      entry.path, entry.version = path, (version or path):match "(%d[%d.]*)$"
    else
      entry.problem = version
    end
    list[#list + 1] = entry
  end
  local argparse = package.searchpath("argparse", package.path .. ";/usr/share/lua/5.4/?.lua")
  list[#list + 1] = { name = "argparse", path = argparse, package = "lua-argparse", needed_for = "commands" }
  return list
end

-- --- limits ---

-- The least value that this limit has in the process's cgroup and those above it, of cgroup v2 or of v1's
-- controller.
local function cgroup_limit(controller, v2_file, v1_file)
  local least
  local file <close> = io.open "/proc/self/cgroup"
  for line in file and file:lines() or function() end do
    local controllers, path = line:match "^%d+:([^:]*):(.*)$"
    local is_v1 = controllers and ("," .. controllers .. ","):find("," .. controller .. ",", 1, true)
    local root = is_v1 and "/sys/fs/cgroup/" .. controller or controllers == "" and "/sys/fs/cgroup"
    while root and path do
      local text = first_line(("%s%s/%s"):format(root, path == "/" and "" or path, is_v1 and v1_file or v2_file))
      local value = math.tointeger(tonumber(text or ""))
      if value and value < 1 << 60 then least = math.min(least or value, value) end
      path = path ~= "" and path ~= "/" and path:match "^(.*)/[^/]*$" or nil
    end
  end
  return least
end

local function memory()
  local report = { cgroup_limit = cgroup_limit("memory", "memory.max", "memory.limit_in_bytes") }
  local file <close> = io.open "/proc/meminfo"
  for line in file and file:lines() or function() end do
    local name, kib = line:match "^(%w+):%s*(%d+) kB"
    if name == "MemTotal" then report.total = math.tointeger(kib) << 10 end
    if name == "MemAvailable" then report.available = math.tointeger(kib) << 10 end
  end
  report.overcommit = math.tointeger(tonumber(first_line "/proc/sys/vm/overcommit_memory" or ""))
  report.region = variable "LK_REGION_SIZE"
  return report
end

local function limits()
  local report = doctor.limits()
  report.cgroup_processes = cgroup_limit("pids", "pids.max", "pids.max")
  return report
end

-- --- GPU ---

local function gpus()
  local directory = require "lkrun.core.directory"
  local list = {}
  for _, name in ipairs(directory.list "/proc/driver/nvidia/gpus") do
    local file <close> = io.open("/proc/driver/nvidia/gpus/" .. name .. "information")
    local model = file and file:read("a"):match "Model:%s*([^\n]+)"
    list[#list + 1] = { name = model or "NVIDIA", bus = name:gsub("/$", "") }
  end
  local driver = first_line "/proc/driver/nvidia/version"
  return { list = list, driver = driver and driver:match "Kernel Module%s+(%S+)" or driver }
end

--- The whole report.
---@return table
function facts.collect()
  local system = doctor.system()
  local report = {
    lkrun = lk.VERSION, system = system, cpus = try(cpus_of, system), configuration = try(configuration),
    topology = try(require("lkrun.core.cpu").topology), blas = try(blas), libraries = libraries(system),
    memory = try(memory), limits = limits(), gpus = try(gpus), unknown_variables = unknown_variables(),
    jobserver = (variable "MAKEFLAGS" or ""):find "%-%-jobserver" ~= nil,
  }
  local config = report.configuration
  report.binding = config.problem and {} or try(binding, config.processes.value, config.child_threads.value)
  return report
end

return facts

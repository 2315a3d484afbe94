--- What the kernel says about processes: for tests that look at what is left behind.
local lfs = require "lfs"
local await = require "tests.support.await"
local processes = {}

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or nil
end
processes.read = read

--- State and parent of a process, nil when it is gone.
local function stat_of(pid)
  local text = read(("/proc/%d/stat"):format(pid))
  if not text then return nil end
  local state, parent = text:match "^.*%) (%a) (%d+)"
  return state, tonumber(parent)
end

--- This process's id.
function processes.own() return tonumber(read("/proc/self/stat"):match "^%d+") end

--- Whether a process runs: it is there and no zombie.
function processes.runs(pid)
  local state = stat_of(pid)
  return state ~= nil and state ~= "Z" and state ~= "X"
end

--- The children of a process, zombies included, in the order of their ids.
function processes.children(of)
  local list = {}
  for name in lfs.dir "/proc" do
    local pid = math.tointeger(tonumber(name))
    if pid then
      local _, parent = stat_of(pid)
      if parent == of then list[#list + 1] = pid end
    end
  end
  table.sort(list)
  return list
end

--- The open descriptors of this process: number → what it leads to.
function processes.descriptors()
  local open = {}
  for name in lfs.dir "/proc/self/fd" do
    local number = tonumber(name)
    if number then
      local pipe <close> = assert(io.popen(("readlink /proc/%d/fd/%s"):format(processes.own(), name)))
      open[number] = pipe:read "l" -- nil for the one that lists them
    end
  end
  return open
end

--- How many descriptors this process has open.
function processes.count_descriptors()
  local count = 0
  for name in lfs.dir "/proc/self/fd" do
    if tonumber(name) then count = count + 1 end
  end
  return count
end

--- The mappings of a process whose name contains `name`: { first =, last =, mode = "rw-s", inode = }.
function processes.mappings(pid, name)
  local list = {}
  for line in (read(("/proc/%s/maps"):format(pid)) or ""):gmatch "[^\n]+" do
    local first, last, mode, inode = line:match "^(%x+)%-(%x+) (%S+) %x+ %x+:%x+ (%d+)"
    if first and line:find(name, 1, true) then
      list[#list + 1] = {
        first = tonumber(first, 16), last = tonumber(last, 16), mode = mode, inode = tonumber(inode),
      }
    end
  end
  return list
end

--- Waits until an invoker has, and knows, all its workers, and those have started: a short map may be
--- over before the last one has. Gives the number of tasks, each 1, that it had it do.
function processes.await_workers(inv)
  local tasks = 0
  await(function()
    local started = true
    for _, worker in ipairs(inv:stats().workers) do
      if worker.pid == 0 or not processes.runs(worker.pid) then
        inv:submit(1):get() -- it looks around when it waits
        tasks = tasks + 1
        return false
      end
      -- One that sleeps waits for tasks. A task now would have it clear up after that one first.
      started = started and stat_of(worker.pid) == "S"
    end
    return started
  end, "all workers")
  return tasks
end

return processes

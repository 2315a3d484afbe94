--- What the kernel says about processes, for tests that look at what a program leaves behind.
local lfs = require "lfs"
local await = require "tests.support.await"
local read = require("tests.support.files").read
local processes = {}

processes.read = read

--- State and parent of a process; nil when it no longer exists.
local function stat_of(pid)
  local text = read(("/proc/%d/stat"):format(pid))
  if not text then return nil end
  local state, parent = text:match "^.*%) (%a) (%d+)"
  return state, tonumber(parent)
end

--- The id of this process.
function processes.own() return tonumber(read("/proc/self/stat"):match "^%d+") end

--- Whether a process runs: it exists and is not a zombie.
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

--- The open descriptors of this process: a table from each number to what it is open on.
function processes.descriptors()
  local open = {}
  for name in lfs.dir "/proc/self/fd" do
    local number = tonumber(name)
    if number then
      local pipe <close> = assert(io.popen(("readlink /proc/%d/fd/%s"):format(processes.own(), name)))
      open[number] = pipe:read "l" -- nil for the descriptor that the listing used
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

--- The mappings of a process whose names contain `name`, each { first =, last =, mode = "rw-s", inode = }.
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

--- Waits until all workers of an invoker have started and the invoker knows them: a short map may be over before the
--- last worker has started. Submits tasks of 1 meanwhile, and returns how many.
function processes.await_workers(inv)
  local tasks = 0
  await(function()
    local started = true
    for _, worker in ipairs(inv:stats().workers) do
      if worker.pid == 0 or not processes.runs(worker.pid) then
        inv:submit(1):get() -- the invoker learns of its workers while it waits
        tasks = tasks + 1
        return false
      end
      -- A worker that sleeps has started, and waits for tasks. Giving it a task now would wake it again.
      started = started and stat_of(worker.pid) == "S"
    end
    return started
  end, "all workers")
  return tasks
end

return processes

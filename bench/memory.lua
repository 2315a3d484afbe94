-- Counts the memory, descriptors and processes of this process and its children, by what the kernel says.
local bare = require "bare"
local memory = {}

local function read(path)
  local file <close> = io.open(path)
  return file and file:read "a" or ""
end

--- The children of this process, zombies included (the template and the workers are among them).
---@return string[] pids
function memory.children()
  local pids = {}
  local self = read("/proc/self/stat"):match "^%d+"
  for pid in read(("/proc/self/task/%s/children"):format(self)):gmatch "%d+" do pids[#pids + 1] = pid end
  return pids
end

local function pss_of(pid) return tonumber(read(("/proc/%s/smaps_rollup"):format(pid)):match "Pss:%s+(%d+)" or 0) end

--- Proportional set size of this process and its children, in MiB: shared pages count once.
function memory.pss()
  local sum = pss_of "self"
  for _, pid in ipairs(memory.children()) do sum = sum + pss_of(pid) end
  return sum / 1024
end

local function own_of(pid)
  local text, sum = read(("/proc/%s/smaps_rollup"):format(pid)), 0
  for _, kind in ipairs { "Pss_Anon", "Pss_Shmem" } do sum = sum + tonumber(text:match(kind .. ":%s+(%d+)") or 0) end
  return sum
end

--- The same without mapped files, because this process's share of a file depends on which other programs map it.
function memory.own()
  local sum = own_of "self"
  for _, pid in ipairs(memory.children()) do sum = sum + own_of(pid) end
  return sum / 1024
end

--- Open descriptors of this process and its children.
function memory.descriptors()
  local sum = bare.entries "/proc/self/fd"
  for _, pid in ipairs(memory.children()) do sum = sum + (bare.entries(("/proc/%s/fd"):format(pid)) or 0) end
  return sum
end

function memory.zombies()
  local count = 0
  for _, pid in ipairs(memory.children()) do
    if read(("/proc/%s/stat"):format(pid)):match "^%d+ %b() Z" then count = count + 1 end
  end
  return count
end

return memory

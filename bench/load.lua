-- load.*.ms: with a model of 1 GiB in a file, the time from lk.load to the first element, in a fresh process.
-- load.memory: the proportional set size of ten processes that each loaded the file and read all of it, minus the
-- model's bytes, and in models. LOAD_MIB=256 makes the model smaller.
local lk = require "lkrun"
local measure = require "measure"

local MIB <const> = measure.option("LOAD_MIB", 1024)
local PROCESSES <const> = 10
local ROUNDS <const> = 11
local extensions = { "npy", "safetensors", "lkz" }

local folder = "build/bench/load"
assert(os.execute(("rm -rf %s && mkdir -p %s && mkfifo %s/gate"):format(folder, folder, folder)))
do
  local model = lk.tensor.ones({ MIB, 1 << 18 }, "f32")
  lk.save(folder .. "/model.npy", model)
  lk.save(folder .. "/model.safetensors", { model = model })
  lk.save(folder .. "/model.lkz", { model = model })
end
collectgarbage()

local program = folder .. "/load.lua"
do
  local file <close> = assert(io.open(program, "w"))
  file:write [[
    local lk = require "lkrun"
    local start = lk.clock()
    local model = lk.load(arg[1])
    if not lk.tensor.is(model) then model = model.model end
    assert(model:get(1, 1) == 1)
    print(lk.clock() - start)
    if arg[2] then
      assert(model:sum() == model:numel())
      io.write(io.open "/proc/self/stat":read "n", "\n"):flush()
      io.open(arg[2]):read "a"
    end
  ]]
end

local function started(extension, ...)
  return io.popen(table.concat({ ("'%s' %s %s/model.%s"):format(arg[-1], program, folder, extension), ... }, " "))
end

local function seconds(extension)
  local process <close> = started(extension)
  return process:read "n"
end

local function pss_of(pid)
  local file <close> = assert(io.open(("/proc/%d/smaps_rollup"):format(pid)))
  return tonumber(file:read("a"):match "Pss:%s+(%d+)") / 1024
end

-- Measures the memory while all processes hold the model.
local function memory_over(extension)
  local gate, processes, sum = folder .. "/gate", {}, 0
  for i = 1, PROCESSES do processes[i] = started(extension, gate) end
  local pids = {}
  for i, process in ipairs(processes) do
    process:read "n"
    pids[i] = process:read "n"
  end
  for _, pid in ipairs(pids) do sum = sum + pss_of(pid) end
  assert(io.open(gate, "w")):close()
  for _, process in ipairs(processes) do process:close() end
  return sum - MIB
end

for _, extension in ipairs(extensions) do
  local name = ("load.%s.ms"):format(extension)
  if measure.is_wanted(name) then
    local samples = measure.rounds(ROUNDS, { load = function() return seconds(extension) end })
    measure.report(name, measure.scaled(samples.load, 1e3), "<= 5")
  end
end
if measure.is_wanted "load.memory" then
  for _, extension in ipairs(extensions) do
    local samples = measure.rounds(3, { over = function() return memory_over(extension) end })
    measure.report(("load.memory.%s.mib"):format(extension), samples.over, "<= 50")
    local models = measure.each(samples.over, samples.over, function(over) return 1 + over / MIB end)
    measure.report(("load.memory.%s.models"):format(extension), models)
  end
end
os.execute("rm -rf " .. folder)

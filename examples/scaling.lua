-- Simulates how long a batch of users takes on a cluster, and what it waits for. The shards pass, one after
-- the other, through the scheduler, the file system's metadata, its disks, a node's cores, and
-- the disks again. docs/scaling.md says where the numbers come from.
--
--     lkrun examples/scaling.lua
--     lkrun examples/scaling.lua nodes=200 shards=2000 files=22400 users=1e8
local options = {
  users = 1e9,
  nodes = 1000,
  shards = 1000, -- jobs
  cores = 32, -- cores of a node
  rate = 9500, -- users a second and core
  read = 1056, -- bytes a user: 64 factors of 4 bytes, 100 known items of 8 bytes
  model = 8e6, -- bytes that every shard reads: the items' factors
  write = 320, -- bytes a user: ten rows of CSV
  starts = 50, -- jobs a second that the scheduler starts
  startup = 0.01, -- seconds for a job to start: lkrun alone
  files = 20, -- file operations of a job's start: lkrun alone; 22400 with Snakemake in every job
  metadata = 20000, -- file operations a second that the file system serves
  reading = 20e9, -- bytes a second that the file system reads for all nodes together
  writing = 10e9, -- bytes a second that it writes
  link = 1.2e9, -- bytes a second to and from a node
  spread = 0.1, -- standard deviation of the logarithm of a node's speed
  failure = 0, -- chance that a node dies while it has a job
  journal = 1, -- 1: the next attempt continues where the last one stopped; 0: it starts afresh
  seed = 1,
}
local fixed = {}
for _, word in ipairs(arg) do
  local name, value = word:match "^(%a+)=(.+)$"
  if not options[name or ""] or not tonumber(value) then
    io.stderr:write(("scaling.lua: unknown option '%s'; expected NAME=NUMBER, see the head of the file\n"):format(word))
    os.exit(2)
  end
  options[name], fixed[name] = tonumber(value), true
end

-- A station serves one job after the other, in the order in which they come. A real one serves several
-- at a time, each more slowly; together they would not end sooner, so the simulation leaves that out.
local function station(name) return { name = name, free = 0, busy = 0 } end

local function serve(at, now, seconds)
  local start = math.max(now, at.free)
  at.free, at.busy = start + seconds, at.busy + seconds
  return at.free
end

-- Events by time: a binary heap of { time =, … }.
local function push(heap, event)
  local at = #heap + 1
  heap[at] = event
  while at > 1 and heap[at // 2].time > heap[at].time do
    heap[at], heap[at // 2] = heap[at // 2], heap[at]
    at = at // 2
  end
end

local function pop(heap)
  local first, last = heap[1], table.remove(heap)
  if #heap == 0 then return first end
  heap[1] = last
  local at = 1
  while true do
    local least = at
    for child = 2 * at, 2 * at + 1 do
      if heap[child] and heap[child].time < heap[least].time then least = child end
    end
    if least == at then return first end
    heap[at], heap[least] = heap[least], heap[at]
    at = least
  end
end

-- The steps of a job on its node, in order: each returns the time when it ends.
local stages = {
  function(s, o, job, now) return serve(s.scheduler, now, 1 / o.starts) + o.startup, job end,
  function(s, o, _, now) return serve(s.metadata, now, o.files / o.metadata) end,
  function(s, o, job, now)
    local bytes = o.model + job.left * o.users / o.shards * o.read
    return math.max(serve(s.reading, now, bytes / o.reading), now + bytes / o.link)
  end,
  function(s, o, job, now)
    local seconds = job.left * o.users / o.shards / (o.rate * o.cores * job.node)
    job.dies = math.random() < o.failure and math.random()
    local spent = seconds * (job.dies or 1)
    s.cores.busy = s.cores.busy + spent / o.nodes
    return now + spent
  end,
  function(s, o, job, now)
    if job.dies then return now end
    local bytes = o.users / o.shards * o.write
    return math.max(serve(s.writing, now, bytes / o.writing), now + bytes / o.link)
  end,
}

-- Returns the seconds from the first submission to the last output, and the stations.
local function simulate(o)
  math.randomseed(math.tointeger(o.seed))
  local stations, heap, waiting, finish = {}, {}, {}, 0
  for _, name in ipairs { "scheduler", "metadata", "reading", "cores", "writing" } do
    stations[name] = station(name)
  end
  local function begin(node, now)
    local job = table.remove(waiting, 1)
    if job then
      job.stage, job.node, job.time = 0, node, now
      push(heap, job)
    end
  end
  for i = 1, o.shards do waiting[i] = { left = 1 } end
  for _ = 1, math.min(o.nodes, o.shards) do
    local normal = math.sqrt(-2 * math.log(1 - math.random())) * math.cos(2 * math.pi * math.random())
    begin(math.exp(o.spread * normal), 0)
  end
  while #heap > 0 do
    local job = pop(heap)
    local now, node = job.time, job.node
    if job.stage < #stages then
      job.stage = job.stage + 1
      job.time = stages[job.stage](stations, o, job, now)
      push(heap, job)
    else
      finish = math.max(finish, now)
      if job.dies then
        if o.journal == 1 then job.left = job.left * (1 - job.dies) end
        waiting[#waiting + 1] = job
      end
      begin(node, now)
    end
  end
  return finish, stations
end

local function row(o)
  local seconds, stations = simulate(o)
  local names, most = { "scheduler", "metadata", "reading", "cores", "writing" }, nil
  for _, name in ipairs(names) do
    if not most or stations[name].busy > stations[most].busy then most = name end
  end
  local shares = {}
  for i, name in ipairs(names) do shares[i] = ("%8.0f%%"):format(100 * stations[name].busy / seconds) end
  print(("%6d %7d %7s %8.1f %s  %s"):format(o.nodes, o.shards, o.files > 1000 and "yes" or "no", seconds,
    table.concat(shares, ""), most))
end

print(("%g users, %d cores a node; each station's share of the time that it was busy"):format(options.users,
  options.cores))
print(" nodes  shards  Python  seconds  scheduler metadata  reading    cores  writing  most")
if next(fixed) then return row(options) end
for _, case in ipairs {
  { 1, 1 }, { 10, 10 }, { 100, 100 }, { 1000, 1000 }, { 1000, 4000 }, { 1000, 1000, 22400 }, { 1000, 4000, 22400 },
} do
  row(setmetatable({ nodes = case[1], shards = case[2], files = case[3], startup = case[3] and 3 },
    { __index = options }))
end

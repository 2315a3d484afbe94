--- Work chunks: ranges of jobs, each of which is one task.
--- As a task, chunk i is {first, last}: its first and its last job, counted from 1. The chunks must hold all
--- jobs; a chunk that would hold none is left out, so `#chunks` can be less than chunk_count.
local fail = require "lkrun.internal.fail"

---@class lkrun.WorkChunks
---@field total integer # jobs
---@field chunk_size integer # jobs in a chunk, fewer in the last
---@field chunk_count integer
---@operator len: integer # how many chunks hold a job
---@field [integer] integer[] # chunk i as {first, last}; nil outside 1 … #chunks
local methods = {}

local class = { __name = "lkrun.WorkChunks" }

local function check(where, name, value)
  local integer = math.type(value) and math.tointeger(value)
  if not integer then
    fail(where, "%s is %s; expected an integer", name, require("lkrun.core.value_text").brief(value))
  elseif integer < 0 then
    fail(where, "%s is %d; expected 0 or more", name, integer)
  end
  return integer
end

-- How many chunks hold a job, computed without overflow.
local function filled(chunks)
  if chunks.total == 0 then return 0 end
  return (chunks.total - 1) // chunks.chunk_size + 1
end

local function make(where, total, chunk_size, chunk_count)
  total = check(where, "total", total)
  chunk_size = check(where, "chunk_size", chunk_size)
  chunk_count = check(where, "chunk_count", chunk_count)
  local chunks = { total = total, chunk_size = chunk_size, chunk_count = chunk_count }
  if total > 0 and (chunk_size == 0 or filled(chunks) > chunk_count) then
    fail(where, "%d chunks of %d jobs hold fewer than %d jobs; expected chunk_count * chunk_size to reach total",
      chunk_count, chunk_size, total)
  end
  return setmetatable(chunks, class)
end

--- An iterator over the chunks, each a new table {first, last}.
---@return fun(): integer[]?
function methods:tasks()
  local i = 0
  return function()
    i = i + 1
    return self[i]
  end
end

function class:__index(key)
  local i = math.type(key) == "integer" and key
  if not i then return methods[key] end
  if i < 1 or i > filled(self) then return nil end
  local first = (i - 1) * self.chunk_size + 1
  local last = self.chunk_size > self.total - first and self.total or first + self.chunk_size - 1
  return { first, last }
end

function class.__newindex(_, key)
  error(("lkrun: lk.WorkChunks: %s is assigned to; chunks do not change"):format(tostring(key)), 2)
end

class.__len = filled

function class.__eq(a, b)
  return a.total == b.total and a.chunk_size == b.chunk_size and a.chunk_count == b.chunk_count
end

function class:__tostring()
  return ("WorkChunks(total=%d, chunk_size=%d, chunk_count=%d)"):format(self.total, self.chunk_size, self.chunk_count)
end

---@class lkrun.WorkChunksModule
---@overload fun(total: integer, chunk_size: integer, chunk_count: integer): lkrun.WorkChunks
local WorkChunks = {}

--- Chunks for a number of jobs: under 100 jobs one chunk; otherwise chunks of a thousandth of the
--- jobs, but of 100 at least and of 4,000 at most.
---@param njobs integer 0 or more; raises otherwise
---@return lkrun.WorkChunks
function WorkChunks.create(njobs)
  local where = "lk.WorkChunks.create"
  njobs = check(where, "njobs", njobs)
  if njobs < 100 then return make(where, njobs, njobs, 1) end
  local chunk_size = math.max(100, math.min(njobs // 1000, 4000))
  return make(where, njobs, chunk_size, (njobs - 1) // chunk_size + 1)
end

return setmetatable(WorkChunks, {
  __call = function(_, total, chunk_size, chunk_count)
    return make("lk.WorkChunks", total, chunk_size, chunk_count)
  end,
})

--- The journal of lkrun map --resume. Its header says of which run it is: operation, model, tasks, options.
--- Results are added as they come, in any order; at the end the output is written from the journal.
local command = require "lkrun.command"
local core = require "lkrun.core.journal"
local digest = require "lkrun.core.digest"
local json = require "lkrun.json"
local log = require("lkrun.log").get "lkrun"

local journal = {}

-- The fields of a header, and what messages call them.
local FIELDS <const> = {
  { "lkrun", "lkrun's version" },
  { "operation", "the operation" },
  { "model", "the model" },
  { "tasks", "the tasks" },
  { "format", "the format" },
  { "types", "--types" },
  { "arguments", "--op-args" },
  { "shard", "--shard" },
  { "seed", "--seed" },
}

---@class lkrun.Journal
---@field path string
---@field done integer how many results an earlier run left
---@field seed integer root of the tasks' random streams, in this run and in those that resume it
local Journal = {}
Journal.__index = Journal
Journal.__close = function(self) self.file:close() end

-- Ends the command where reading or writing the journal failed.
local function check(self, done, problem)
  if done == nil then command.fail(1, "map: %s: %s", self.path, problem) end
  return done
end

--- Opens the journal and locks it, before anything is done that takes time. Ends the command where that fails,
--- and where another run holds the lock. Nil without --resume.
---@param options table of the command line
---@return lkrun.Journal?
function journal.open(options)
  if not options.resume then return nil end
  local path = options.journal or options.output .. ".lkrun-journal"
  local self = setmetatable({ path = path, strict = options.resume == "strict", loaded = {} }, Journal)
  local file, problem = core.open(path)
  self.file = check(self, file, problem)
  for name in pairs(package.loaded) do self.loaded[name] = true end
  return self
end

local function digest_of(what, path)
  local value, problem = digest.file(path)
  if not value then command.fail(2, "map: %s: %s: %s", what, path, problem) end
  return value
end

-- Digests of OP.lua and of the files of the modules that it required while it was loaded and set up.
local function operation_digests(self, options)
  local digests = { ["OP.lua"] = digest_of("OP.lua", options.operation) }
  for name in pairs(package.loaded) do
    if type(name) == "string" and not self.loaded[name] and not package.preload[name] then
      local path = package.searchpath(name, package.path) or package.searchpath(name, package.cpath)
      if path then digests[name] = digest_of("module " .. name, path) end
    end
  end
  return digests
end

local function header_of(self, options)
  return {
    lkrun = require("lkrun").VERSION,
    operation = operation_digests(self, options),
    model = options.model and digest_of("--model", options.model) or "none",
    tasks = digest_of("--tasks", options.tasks),
    format = options.tasks_format .. " to " .. options.output_format,
    types = options.types and json.encode(options.types) or "",
    arguments = options.op_args and json.encode(options.op_args.value) or "",
    shard = options.shard and options.shard[1] .. "/" .. options.shard[2] or "1/1",
    seed = options.seed or json.null,
  }
end

local function equal(a, b) return json.encode { a } == json.encode { b } end

-- Which files of the operation changed: "the operation (op.lua, module helper)".
local function changed_files(before, now)
  local names, seen = {}, {}
  for _, files in ipairs { before, now } do
    for name in pairs(files) do
      if before[name] ~= now[name] and not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return ("the operation (%s)"):format(table.concat(names, ", "))
end

-- What differs between two headers, in words; nil where nothing does.
local function difference(before, now)
  local differing = {}
  for _, field in ipairs(FIELDS) do
    local key, words = field[1], field[2]
    local any = key == "seed" and now.seed == json.null -- without --seed the earlier run's seed holds
    if not any and not equal(before[key], now[key]) then
      differing[#differing + 1] = key == "operation" and type(before[key]) == "table"
        and changed_files(before[key], now[key]) or words
    end
  end
  return differing[1] and table.concat(differing, ", ")
end

local function start_afresh(self, header)
  if header.seed == json.null then header.seed = math.random(0) end
  check(self, self.file:start(json.encode(header)))
  return header
end

--- Goes on where the journal ends, if it is of the same run; otherwise empties it. To be called once the
--- operation is loaded and set up.
---@param options table of the command line
function Journal:begin(options)
  local header = header_of(self, options)
  local text, done = self.file:read()
  check(self, text, done)
  local good, before = pcall(json.decode, text or "")
  good = good and type(before) == "table"
  local differing
  if text then differing = not good and "its header" or difference(before, header) end
  if differing then
    if self.strict then
      command.fail(1, "map: %s: not the journal of this run: %s changed; remove it, or give --resume alone to "
        .. "start afresh", self.path, differing)
    end
    log:warn("map: %s: not the journal of this run: %s changed; starting afresh", self.path, differing)
  end
  if text and not differing then
    header, self.done = before, done
  else
    header, self.done = start_afresh(self, header), 0
  end
  if self.done > 0 then log:info("map: %s: %d results are there already", self.path, self.done) end
  self.seed = header.seed
end

--- Passes on those tasks whose results are not in the journal.
---@param each fun(): integer?, any
---@return fun(): integer?, any
function Journal:watch(each)
  local file = self.file
  if self.done == 0 then return each end
  return function()
    local number, record
    repeat number, record = each() until not number or not file:is_done(number)
    return number, record
  end
end

--- Starts the thread that writes the results; to be called once the workers are made.
function Journal:run() check(self, self.file:run()) end

--- Adds a result.
function Journal:add(number, bytes, signature) check(self, self.file:add(number, bytes, signature)) end

--- Waits until all that was added is on the disk, and ends writing.
function Journal:stop() check(self, self.file:stop()) end

--- For a generic `for`: the number, bytes and signature of each result, in the order of the tasks, from task
--- `first` on. Tasks in `missing` have no result.
---@param first integer
---@param missing table<integer, boolean>
---@return fun(): integer?, string?, string?
function Journal:results(first, missing)
  self:stop()
  local file = self.file
  local step = check(self, file:each())
  local waiting = {} -- number → place in the journal, of results that stand there before their turn
  local turn = first
  return function()
    while true do
      while missing[turn] do turn = turn + 1 end
      local place = waiting[turn]
      if place then
        waiting[turn] = nil
      else
        local number
        number, place = step()
        if not number then return nil end
        if number > turn then
          waiting[number] = place
          place = nil
        elseif number < turn then
          place = nil
        end
      end
      if place then
        turn = turn + 1
        return turn - 1, file:at(place)
      end
    end
  end
end

--- Removes the journal; to be called once the output is in its place.
function Journal:remove() check(self, self.file:remove()) end

return journal

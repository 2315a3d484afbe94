--- Runs the Lua script of a Snakemake job. The program that rules/lkrun_script.py writes for each job
--- calls this; the script finds the job in the global `snakemake`. See docs/snakemake.md.
local config = require "lkrun.core.config"
local fail = require "lkrun.internal.fail"
local null = require "lkrun".null

local FORMAT = 1 -- version of the table that the rules pass

--- By position from 1, and by name; a name for several files is a table of them.
---@alias lkrun.SnakemakeList table<integer|string, any>

--- The job, as a Lua script in a rule finds it in the global `snakemake`. Python's None is nil as a field, and
--- `lk.null` in a list.
---@class lkrun.SnakemakeJob
---@field input lkrun.SnakemakeList paths
---@field output lkrun.SnakemakeList paths
---@field params lkrun.SnakemakeList nested as in the rule
---@field wildcards lkrun.SnakemakeList strings
---@field threads integer the rule's threads, as granted; also what lkrun takes for its CPUs
---@field resources table<string, any> by name
---@field log lkrun.SnakemakeList paths; the first one receives standard error
---@field config table<string, any> the workflow's configuration
---@field rule string
---@field jobid integer 0 in a remote job
---@field scriptdir string the folder of the script
---@field bench_iteration? integer from 0; nil without `benchmark:`

--- What the rules pass: the job, and its lists apart from it, each with the positions of its names.
---@class lkrun.SnakemakeHanded
---@field format integer
---@field lists table<string, {list: any[], names: table<string, integer|integer[]>}>
---@field job lkrun.SnakemakeJob
---@field path string of the script
---@field folder string where the script's modules are
---@field source string the script's text

-- A list by position and by name, and by name alone. A name stands for a position, or for {first, last}.
local function with_names(list, names)
  local named = {}
  for name, place in pairs(names) do
    local several = type(place) == "table"
    local value
    if several then value = table.move(list, place[1], place[2], 1, {}) else value = list[place] end
    if value ~= null then named[name] = value end
  end
  local both = table.move(list, 1, #list, 1, {})
  for name, value in pairs(named) do both[name] = value end
  return both, named
end

-- Describes the job for programs that watch LK_PROGRESS_DIR.
local function announce(rule, wildcards, outputs)
  if (os.getenv "LK_PROGRESS_DIR" or "") == "" then return end
  local description = { rule = rule, wildcards = wildcards, outputs = outputs }
  local encoded, text = pcall(require "lkrun.json".encode, description)
  if encoded then require "lkrun.core.progress".set_job(text) end -- otherwise a name is not UTF-8
end

--- Makes the job's threads the grant and runs the script, as its main chunk.
--- Raises for a job in a newer format, and what the script raises.
---@param handed lkrun.SnakemakeHanded
---@return any ... what the script returns
return function(handed)
  if handed.format ~= FORMAT then
    fail("rules/lkrun.smk", "a job in format %s found; lkrun %s knows format %d, so install the rules and the "
      .. "program of one version", handed.format, require "lkrun".VERSION, FORMAT)
  end
  local job, wildcards = handed.job, nil
  for name, entry in pairs(handed.lists) do
    local named
    job[name], named = with_names(entry.list, entry.names)
    if name == "wildcards" then wildcards = named end
  end
  config.grant(job.threads)
  announce(job.rule, wildcards, handed.lists.output.list)
  _G.snakemake = job
  _G.arg = { [0] = handed.path }
  if handed.folder ~= "" and not handed.folder:find "[?;]" then
    package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(handed.folder, handed.folder, package.path)
  end
  -- As luaL_loadfile does, passes over a first line that begins with #.
  local chunk, problem = load(handed.source:gsub("^#", "--#", 1), "@" .. handed.path, "t")
  if not chunk then error(problem, 0) end
  return chunk()
end

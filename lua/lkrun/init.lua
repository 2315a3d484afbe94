--- lkrun: model operations over many tasks, in parallel, over a model in shared memory.
--- A module loads when its field of this table is first read, so that a program pays for what it uses.
---@class lkrun
---@field VERSION string SemVer of the public interface
---@field tensor lkrun.tensor
---@field sparse lkrun.sparse
---@field linalg lkrun.linalg
---@field json lkrun.json
---@field null lightuserdata the null of JSON, of tasks and of results
---@field log lkrun.log
---@field random lkrun.random
---@field rows lkrun.rows
---@field WorkChunks lkrun.WorkChunksModule
---@field initialize fun(options?: lkrun.ConfigOptions)
---@field ensure_parallel_init fun()
---@field config fun(): lkrun.Config
---@field cpu_count fun(): integer
---@field proc_count fun(): integer
---@field invoker fun(model: any, func: (fun(model: any, task: any): ...), options?: lkrun.Options): lkrun.Invoker
---@field map fun(model: any, func: (fun(model: any, task: any): ...), tasks: any, options?: lkrun.Options): function
---@field invoke_progress fun(logger: any, label?: string, total?: integer, unit?: string): lkrun.Progress
---@field clock fun(): number seconds
---@field load fun(path: string, options?: lkrun.LoadOptions): any
---@field save fun(path: string, model: any, options?: lkrun.SaveOptions)
---@field show fun(value: any, options?: lkrun.ShowOptions): string
local lk = { VERSION = "0.1.0" }

-- The module of each public name: the name is the module itself, or (below) a field of the module.
local modules = {
  json = "lkrun.json",
  linalg = "lkrun.linalg",
  log = "lkrun.log",
  random = "lkrun.random",
  rows = "lkrun.rows",
  sparse = "lkrun.sparse",
  tensor = "lkrun.tensor",
}
local fields = {
  initialize = "lkrun.config",
  ensure_parallel_init = "lkrun.config",
  config = "lkrun.config",
  cpu_count = "lkrun.config",
  proc_count = "lkrun.config",
  invoker = "lkrun.invoker",
  map = "lkrun.invoker",
  WorkChunks = "lkrun.chunks",
  clock = "lkrun.clock",
  null = "lkrun.json",
  load = "lkrun.files",
  save = "lkrun.files",
  show = "lkrun.show",
  invoke_progress = "lkrun.progress",
}

-- In a task, math.random draws from the task's own stream from now on.
require("lkrun.core.random").install()

setmetatable(lk, {
  __names = { modules, fields }, -- what completion, help and check look up
  __index = function(self, name)
    local value
    if modules[name] then
      value = require(modules[name])
    elseif fields[name] then
      local module = require(fields[name])
      value = type(module) == "table" and module[name] or module
    end
    rawset(self, name, value)
    return value
  end,
})

return lk

--- The commands of the command line. `lkrun NAME …` is the module lkrun.command.NAME, a table of
---   summary   one line
---   define    function(parser): gives lua-argparse's parser its arguments and options
---   prepare   function(arguments), if there is one: changes them before they are read
---   run       function(options): does it, and gives the exit status
---   epilog    what --help says at its end, if anything
--- This module reads the arguments, and is the way out of a command that can't go on.
local command = {}

local Failure = { __name = "lkrun.command.Failure" }
Failure.__tostring = function(failure) return failure.message end

--- Ends the command: one line on standard error, and the exit status.
---@param status integer 1: it failed, 2: wrong use or unusable input
---@param format string the line, without "lkrun: "
---@param ... any what the format has places for
function command.fail(status, format, ...)
  error(setmetatable({ status = status, message = format:format(...) }, Failure), 0)
end

--- Calls, and gives what that gives. What it raises as text ends the command in its name, without a
--- traceback; other errors, and interruptions, pass through.
---@param name string
---@param status integer
---@param call function
---@param ... any
---@return any, any
function command.attempt(name, status, call, ...)
  local good, value, more = pcall(call, ...)
  if good then return value, more end
  if type(value) ~= "string" or value:find "interrupted$" then error(value, 0) end
  command.fail(status, "%s: %s", name, (value:gsub("^lkrun: ", ""):gsub("^lk%.load: ", "")))
end

--- Ends the command in its name where a file can't be written: what a writer gave was nil, and why.
---@param name string
---@param done boolean?
---@param problem string?
function command.check(name, done, problem)
  if not done then command.fail(1, "%s: %s", name, problem) end
end

-- A pure Lua library of the system, wherever LUA_PATH leads.
local function argparse(name)
  local path = package.searchpath("argparse", package.path .. ";/usr/share/lua/5.4/?.lua")
  if not path then
    command.fail(2, "%s: the Lua library argparse is not installed; it is in Debian's package lua-argparse", name)
  end
  return assert(loadfile(path))()
end

-- A sentence of argparse's as ours: one line, with what may have been meant, that says where help is.
local function misuse(name, message)
  message = message:gsub("\nDid you mean (.-)%?$", " (did you mean %1?)")
  command.fail(2, "%s: %s; lkrun %s --help tells what there is", name, message:gsub("^%u", string.lower), name)
end

--- Runs a command.
---@param name string
---@param arguments string[]
---@return integer status
function command.run(name, arguments)
  local module = require("lkrun.command." .. name)
  local parser = argparse(name)("lkrun " .. name, module.summary, module.epilog)
  module.define(parser)
  local good, options = parser:pparse(module.prepare and module.prepare(arguments) or arguments)
  if not good then misuse(name, options) end
  return module.run(options)
end

return command

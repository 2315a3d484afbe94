--- The commands of the command line. `lkrun NAME …` is the module lkrun.command.NAME, a table of
---   summary   one line
---   define    function(parser): gives lua-argparse's parser its arguments and options
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

-- A pure Lua library of the system, wherever LUA_PATH leads.
local function argparse(name)
  local path = package.searchpath("argparse", package.path .. ";/usr/share/lua/5.4/?.lua")
  if not path then
    command.fail(2, "%s: the Lua library argparse is not installed; it is in Debian's package lua-argparse", name)
  end
  return assert(loadfile(path))()
end

-- A sentence of argparse's as ours: its quotes are straight, and it says where help is.
local function misuse(name, message)
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
  local good, options = parser:pparse(arguments)
  if not good then misuse(name, options) end
  return module.run(options)
end

return command

--- The commands of the command line. `lkrun NAME …` is the module lkrun.command.NAME, a table of
---   summary   one line for --help
---   define    function(parser): declares arguments and options to lua-argparse's parser
---   prepare   optional, function(arguments): rewrites the arguments before they are parsed
---   run       function(options): runs the command, and returns the exit status
---   epilog    optional: what --help says at its end
--- This module parses the arguments, and has what a command calls when it can't go on.
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

--- Calls a function and returns what it returns. An error that is a string ends the command: one line that
--- begins with `name`, without a traceback. Other errors, and interruptions, pass through.
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

--- Ends the command where writing a file failed; a writer then returned nil and the reason.
---@param name string
---@param done boolean?
---@param problem string?
function command.check(name, done, problem)
  if not done then command.fail(1, "%s: %s", name, problem) end
end

--- A converter for argparse: from the text of an option to an integer within these bounds.
---@param low integer
---@param high integer
---@return fun(text: string): integer?, string? # nil and what is wrong with the text
function command.whole_number(low, high)
  return function(text)
    local number = math.tointeger(tonumber(text))
    if number and number >= low and number <= high then return number end
    return nil, ("'%s' is not an integer from %d to %d"):format(text, low, high)
  end
end

-- The library argparse, from package.path or from where Debian installs it, whatever LUA_PATH says.
local function argparse(name)
  local path = package.searchpath("argparse", package.path .. ";/usr/share/lua/5.4/?.lua")
  if not path then
    command.fail(2, "%s: the Lua library argparse is not installed; it is in Debian's package lua-argparse", name)
  end
  return assert(loadfile(path))()
end

-- Ends the command with argparse's message, made into one line in lkrun's voice that says where help is.
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

local core = require "lkrun.core.log"

--- Messages for whoever runs the program: whole lines on standard error, from workers too.
---@class lkrun.log
local log = {}

---@alias lkrun.LogLevel "debug" | "info" | "warn" | "error"

--- Each method takes a format and its arguments by the rules of `string.format`, and raises where
--- those don't fit each other; at a level below the current one it does nothing at all.
---@class lkrun.Logger
---@field debug fun(self: lkrun.Logger, format: string, ...: any)
---@field info fun(self: lkrun.Logger, format: string, ...: any)
---@field warn fun(self: lkrun.Logger, format: string, ...: any)
---@field error fun(self: lkrun.Logger, format: string, ...: any)

--- The logger of this name; the same one for the same name. Raises for an empty name, and for one
--- with a newline or a colon in it.
---@type fun(name: string): lkrun.Logger
log.get = core.get

--- The lowest level that is written: `LK_LOG_LEVEL`'s, else "info".
---@type fun(): lkrun.LogLevel
log.level = core.level

--- Sets it for this process and the workers made from now on. Raises for an unknown level.
---@type fun(level: lkrun.LogLevel)
log.set_level = core.set_level

return log

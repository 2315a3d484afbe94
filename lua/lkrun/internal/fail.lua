--- Raises an error of lkrun: "lkrun: <where>: <what was found>; expected <what>". The modules of lkrun and
--- of lkrec all raise theirs by it.
---@param where string the function as the program calls it: "lk.load"
---@param format string the rest of the message, for string.format
---@param ... any what the format has places for
return function(where, format, ...) error(("lkrun: %s: "):format(where) .. format:format(...), 0) end

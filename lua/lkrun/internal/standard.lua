--- The names of the modules of Lua's standard library, without the globals of its base.
---@type string[]
return { "string", "table", "math", "io", "os", "coroutine", "utf8", "debug", "package" }

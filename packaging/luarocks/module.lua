-- One library has all modules, and a rock has no links: each of its modules is this file.
local name, path = ..., assert(package.searchpath("lkrun.core", package.cpath))
return assert(package.loadlib(path, "luaopen_" .. name:gsub("%.", "_")))(...)

-- One library contains all modules. A rock cannot contain links to it, so each module of the rock is a copy of this file.
local name, path = ..., assert(package.searchpath("lkrun.core", package.cpath))
return assert(package.loadlib(path, "luaopen_" .. name:gsub("%.", "_")))(...)

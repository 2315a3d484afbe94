-- Prints the seconds from lk.invoker to the first result of a null operation, for the first invoker of a process.
local lk = require "lkrun"
local start = lk.clock()
local inv <close> = lk.invoker(0, function(_, task) return task end, { n_jobs = 2 })
for _ in inv:map { 1 } do print(lk.clock() - start) end

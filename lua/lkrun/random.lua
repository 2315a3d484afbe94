--- Random numbers. Inside a task they come from the task's own stream, so that what a task draws
--- depends on the seed of the invoker, the ordinal of the map and the task's index, and on nothing
--- else; outside, from the program's own stream, which is seeded from the system.
--- Generator: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
--- 3", SC 2011).
local core = require "lkrun.core.random"

---@class lkrun.random
---@overload fun(): number # a float in [0, 1)
---@overload fun(n: integer): integer # an integer in [1, n]; any 64 bits for n = 0
---@overload fun(m: integer, n: integer): integer # an integer in [m, n]; raises when that is empty
local random = {}

--- A normal deviate with this mean (0 by default) and standard deviation (1 by default; raises
--- below 0), by the polar method (Marsaglia and Bray, "A convenient method for generating normal
--- variables", SIAM Review 6, 1964).
---@type fun(mean?: number, deviation?: number): number
random.normal = core.normal

--- Seeds the program's own stream; in a task, the task's stream.
---@type fun(n: integer)
random.seed = core.seed

--- Puts the elements of a sequence into random order, in place, and returns it (Durstenfeld,
--- "Algorithm 235: random permutation", Communications of the ACM 7, 1964).
---@type fun(t: any[]): any[]
random.shuffle = core.shuffle

---@class lkrun.random.Stream
---@field uniform fun(self): number # a float in [0, 1)
---@field integer fun(self, m: integer, n?: integer): integer # as lk.random(m, n)
---@field normal fun(self, mean?: number, deviation?: number): number # as lk.random.normal
---@field shuffle fun(self, t: any[]): any[] # as lk.random.shuffle

--- A stream of its own: the one that task `index` of map `ordinal` (1 and 1 by default) has under
--- the root seed `seed`.
---@type fun(seed: integer, ordinal?: integer, index?: integer): lkrun.random.Stream
random.stream = core.stream

return setmetatable(random, { __call = core.call })

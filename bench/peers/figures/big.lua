-- A model of 1 GiB: time to the first result, and memory when two workers have read all of it.
local pools = require "pools"

return {
  group = "Pools of processes",
  order = 4,
  peers = pools.names,
  command = pools.command "big",
  columns = {
    { title = "1 GiB model: first, ms", field = "first", scale = 1e3, figure = "big.first.ms", drawn = true },
    { title = "memory over it, MiB", field = "over_mib", figure = "big.memory.mib", drawn = true },
  },
}

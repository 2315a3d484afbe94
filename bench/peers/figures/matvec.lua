-- A 1000 by 1000 matrix times 2,000 vectors that are sent as tasks: the speed relative to the same loop in one process.
local pools = require "pools"

return {
  group = "Pools of processes",
  order = 3,
  peers = pools.names,
  command = pools.command("matvec", 2000),
  columns = { { title = "matvec, speed-up", field = "speedup", figure = "matvec.speedup" } },
}

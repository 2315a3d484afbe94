-- Null operations handed over one by one, as many as each pool completes in about a second.
local pools = require "pools"

local tasks <const> = { multiprocessing = 20000, futures = 5000, joblib = 20000, loky = 5000, ray = 2000 }

return {
  group = "Pools of processes",
  order = 2,
  peers = pools.names,
  command = pools.command("null", function(peer) return tasks[peer] end),
  columns = { { title = "null task, µs", field = "null", scale = 1e6, figure = "null.us", drawn = true } },
}

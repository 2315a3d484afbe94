-- From nothing to the first result of a null operation.
local pools = require "pools"

return {
  group = "Pools of processes",
  order = 1,
  peers = pools.names,
  command = pools.command "first",
  columns = { { title = "first result, ms", field = "first", scale = 1e3, figure = "first.ms", drawn = true } },
}

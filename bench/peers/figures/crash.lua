-- Task 500 of 1,000 kills its worker.
local pools = require "pools"

return {
  group = "Pools of processes",
  order = 5,
  peers = pools.names,
  command = pools.command("crash", 1000),
  columns = {
    { title = "delivered of 1,000 after a crash", field = "delivered", figure = "crash.delivered" },
    { title = "end or error after, ms", field = "seconds", scale = 1e3, figure = "crash.ms" },
    { title = "the caller saw", field = "saw", said = "which task failed, and all others" },
  },
}

-- A CSV file with a user, an item and a score in each row, with types.
local measure = require "measure"

return {
  order = 9,
  group = "Tables",
  peers = { "pandas", "csv" },
  command = function(python, peer)
    return ("%s bench/peers/tables.py %s %d"):format(python, peer, measure.option("ROWS", 1000000))
  end,
  columns = {
    { title = "CSV, to write a row, µs", field = "write_us", figure = "rows.write_us" },
    { title = "CSV, to read a row, µs", field = "read_us", figure = "rows.read_us", drawn = true },
  },
}

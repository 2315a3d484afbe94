--- CSV files with a header, as lk.rows reads and writes them.
local rows = require "lkrun.rows"

---@class lkrec.csv
local csv = {}

--- Iterates over the records of a file, the header too: lk.rows.read without names. The delimiter is a
--- tab where the header has tabs and no comma, else a comma.
---@param path string
---@return fun():integer?, string[]? # the line that a record begins on, and its fields
---@return nil, nil
---@return table # closed at the end of the loop
--- Raises as lk.rows.read does.
function csv.rows(path) return rows.read(path, { format = "csv", header = false, delimiter = "" }) end

--- Writes records to a file, which appears whole or not at all: lk.rows.write with these columns.
---@param path string
---@param header string[]
---@param records table[]|fun():table? # sequences of cells
--- Raises as lk.rows.write does.
function csv.write(path, header, records) rows.write(path, records, { format = "csv", columns = header }) end

return csv

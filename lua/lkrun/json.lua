--- JSON (RFC 8259). Integers stay integers of 64 bits, floats come back equal, and nothing is merged or rounded
--- silently.
local core = require "lkrun.core.json"

---@class lkrun.json
local json = {}

--- The null of JSON, and of tasks and results: a value of its own, true in a condition.
---@type lightuserdata
json.null = core.null

--- Text of a value: booleans, numbers, strings in UTF-8, lk.null, tensors as nested arrays, and
--- tables. A table whose keys are 1 … n is an array, one whose keys are strings an object, an empty
--- one an array unless json.object marked it.
--- Options: indent, spaces a level, 0 (by default: all on one line) to 16; sort_keys, true by
--- default: keys in the order of their bytes, so that equal values have equal text.
--- Raises, naming the place in the value, for anything else: other values, NaN and infinities, other
--- keys, holes, metatables, cycles, more than 2,047 nested tables, strings that are not UTF-8.
---@type fun(value: any, options?: { indent?: integer, sort_keys?: boolean }): string
json.encode = core.encode

--- The value of a text; null is lk.null. Raises, with line and column, for what is no JSON, for a
--- key that an object has twice, and for numbers that do not fit (integers of 64 bits, doubles).
---@type fun(text: string): any
json.decode = core.decode

--- Marks a table, or a new one, so that it is encoded as an object even when it is empty. The mark
--- is a metatable: a marked table can't be a task or a result.
---@type fun(t?: table): table
json.object = core.object

return json

--- The formats of files of rows, and which one a file has.
local format = {}

local by_extension = {
  csv = "csv", tsv = "tsv", jsonl = "jsonl", ndjson = "jsonl", txt = "lines", lines = "lines", npy = "npy",
}

format.names = { "csv", "tsv", "jsonl", "lines", "npy" }

--- Fields of these are separated by this.
format.delimiters = { csv = ",", tsv = "\t" }

--- The format of a file: what its extension says, else `otherwise`; nil where neither says.
---@param path string
---@param otherwise string?
---@return string?
function format.of(path, otherwise)
  local extension = path:match "%.([%w_]+)$"
  return by_extension[extension and extension:lower()] or otherwise
end

return format

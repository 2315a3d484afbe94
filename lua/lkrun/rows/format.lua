--- The formats of files of rows, and which one a file has.
local format = {}

local by_extension = {
  csv = "csv", tsv = "tsv", jsonl = "jsonl", ndjson = "jsonl", txt = "lines", lines = "lines", npy = "npy",
}

format.names = { "csv", "tsv", "jsonl", "lines", "npy" }

--- Fields of these are separated by this.
format.delimiters = { csv = ",", tsv = "\t" }

local packed = { gz = true, zst = true, bz2 = true, xz = true, lz4 = true }

--- The format of a file that is read: as format.of, and it may be compressed.
---@param path string
---@param otherwise string?
---@return string?
function format.of_input(path, otherwise)
  local inner, extension = path:match "^(.*)%.(%w+)$"
  return format.of(extension and packed[extension:lower()] and inner or path, otherwise)
end

--- The format of a file: what its extension says, else `otherwise`; nil where neither says.
---@param path string
---@param otherwise string?
---@return string?
function format.of(path, otherwise)
  local extension = path:match "%.([%w_]+)$"
  return by_extension[extension and extension:lower()] or otherwise
end

return format

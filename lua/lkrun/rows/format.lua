--- The formats of files of rows, and how a file's name tells its format.
local format = {}

local by_extension = {
  csv = "csv", tsv = "tsv", jsonl = "jsonl", ndjson = "jsonl", txt = "lines", lines = "lines", npy = "npy",
}

format.names = { "csv", "tsv", "jsonl", "lines", "npy" }

--- The delimiter of each format that has one.
format.delimiters = { csv = ",", tsv = "\t" }

local packed = { gz = true, zst = true, bz2 = true, xz = true, lz4 = true }

--- The format of a file to be read: as format.of, but an extension of a compression is passed over.
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

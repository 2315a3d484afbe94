--- Tensors from files and into files; the format is the extension's.
local files = {}

-- By extension, the module that has the format's load(path) and save(path, value).
local formats = { npy = "lkrun.core.npy" }

local function format_of(where, path)
  if type(path) ~= "string" then
    error(("lkrun: %s: the path is %s; a string is expected"):format(where, type(path)), 0)
  end
  local extension = path:match "%.([%w_]+)$"
  local format = formats[extension and extension:lower()]
  if not format then
    error(("lkrun: %s: %s has no extension that is known; .npy is expected"):format(where, path), 0)
  end
  return require(format)
end

--- The tensor in a file. An array in Fortran order comes as a view whose first dimension has the
--- smallest stride; `contiguous()` reorders it.
---@param path string ending in `.npy`: NumPy's format, versions 1.0, 2.0 and 3.0, of either byte order
---@return lkrun.Tensor # of the file's shape and dtype
--- Raises, naming the file, when it can't be read, is cut off or malformed, or has a dtype that
--- tensors have not.
function files.load(path)
  return format_of("lk.load", path).load(path)
end

--- Writes a tensor into a file, all or nothing: a file of that name is replaced once the new one is
--- whole and on the disk. The bytes are those that NumPy's `save` writes.
---@param path string ending in `.npy`
---@param tensor lkrun.Tensor of any shape, dtype and stride
--- Raises, naming the file, when it can't be written; what was there before is then unchanged.
function files.save(path, tensor)
  format_of("lk.save", path).save(path, tensor)
end

return files

--- Models in files and back; the format is the extension's.
local files = {}

-- By extension, the module that has the format's load(path, options…) and save(path, model, options…).
local formats = { npy = "lkrun.core.npy" }

local function fail(where, ...) error(("lkrun: %s: %s"):format(where, string.format(...)), 0) end

-- The module of a path's format.
local function format_of(where, path)
  if type(path) ~= "string" then fail(where, "the path is %s; a string is expected", type(path)) end
  local extension = path:match "%.([%w_]+)$"
  local format = formats[extension and extension:lower()]
  if not format then fail(where, "%s has no extension that is known; .npy is expected", path) end
  return require(format)
end

-- What each option must be: its type, and how messages call that.
local load_options = { copy = { "boolean", "a boolean" } }

local function check_options(where, options, known)
  if options == nil then return {} end
  if type(options) ~= "table" then fail(where, "the options are %s; a table is expected", type(options)) end
  for key, value in pairs(options) do
    local wanted = known[key]
    if not wanted then fail(where, "there is no option '%s'", tostring(key)) end
    if math.type(value) ~= wanted[1] and type(value) ~= wanted[1] then
      fail(where, "%s is %s; %s is expected", key, tostring(value), wanted[2])
    end
  end
  return options
end

---@class lkrun.LoadOptions
---@field copy? boolean memory of its own, which may be written, in place of the mapped file

--- The tensor in a file, read-only: where it is large, the file itself, mapped, so that all processes
--- that load it share one copy. An array in Fortran order comes as a view whose first dimension has
--- the smallest stride; `contiguous()` reorders it.
---@param path string ending in `.npy`: NumPy's format, versions 1.0, 2.0 and 3.0, of either byte order
---@param options? lkrun.LoadOptions
---@return lkrun.Tensor # of the file's shape and dtype; f16 becomes f32
--- Raises, naming the file, when it can't be read, is cut off or malformed, or has a dtype that
--- tensors have not. Cut off later, while it is mapped, it is an error where it is used.
function files.load(path, options)
  local format = format_of("lk.load", path)
  options = check_options("lk.load", options, load_options)
  return format.load(path, options.copy)
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

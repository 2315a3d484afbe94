--- Loads and saves models. The extension of a file's name says what its format is.
local fail = require "lkrun.internal.fail"
local value_text = require "lkrun.core.value_text"

local files = {}

-- The modules that read and write the formats; each is loaded when a file of its format is first met.
local function npy() return require "lkrun.core.npy" end
local function archive() return require "lkrun.core.archive" end

-- A format is a table of load(path, options), save(path, model, options), and the names of the options that
-- each of the two takes.
local npy_format = {
  load_options = { copy = true },
  load = function(path, options) return npy().load(path, options.copy) end,
  save_options = {},
  save = function(path, model) npy().save(path, model) end,
}

local safetensors_format = {
  load_options = { name = true, copy = true },
  load = function(path, options)
    return require("lkrun.core.safetensors").load(path, options.name, options.copy)
  end,
  save_options = { metadata = true },
  save = function(path, model, options)
    local header, tensors = require("lkrun.internal.safetensors").encode("lk.save: " .. path, model, options.metadata)
    require("lkrun.core.safetensors").save(path, header, tensors)
  end,
}

local npz_format = {
  load_options = { name = true, copy = true, size_limit = true },
  load = function(path, options)
    return archive().load_npz(path, options.name, options.copy, options.size_limit)
  end,
  save_options = { compress = true },
  save = function(path, model, options)
    if require("lkrun.sparse").is(model) then
      archive().save_scipy(path, model, options.compress)
    else
      archive().save_npz(path, require("lkrun.internal.npz").encode("lk.save: " .. path, model), options.compress)
    end
  end,
}

local bundle_load_options = { name = true, copy = true, size_limit = true }

local function bundle_format(filter)
  return {
    load_options = bundle_load_options,
    load = function(path, options)
      return archive().load_bundle(path, options.name, options.copy, options.size_limit)
    end,
    save_options = { compress = filter == "zip" },
    save = function(path, model, options) archive().save_bundle(path, model, filter, options.compress) end,
  }
end

local formats = {
  npy = npy_format, npz = npz_format, safetensors = safetensors_format, lkz = bundle_format "zip",
  zip = bundle_format "zip",
}

-- Compressions of tar: libarchive's name for each, by extension.
local compressions = {
  gz = "gzip", bz2 = "bzip2", xz = "xz", zst = "zstd", lz4 = "lz4", lzma = "lzma", lz = "lzip",
}
formats.tar = bundle_format "none"
for extension, filter in pairs(compressions) do
  formats["tar." .. extension] = bundle_format(filter)
  formats["t" .. extension] = formats["tar." .. extension]
end

local function format_of(where, path)
  if type(path) ~= "string" then fail(where, "the path is %s; expected a string", value_text.type(path)) end
  local name = path:match "[^/]*$":lower()
  local format = formats[name:match "%.(tar%.%w+)$"] or formats[name:match "%.(%w+)$"]
  return format or fail(where, "%s has no extension that is known; expected .npy, .npz, .safetensors or .lkz", path)
end

-- What the options of both functions may be, whatever the format.
local load_rules = {
  name = { type = "string" },
  copy = { type = "boolean" },
  size_limit = { integer = true, least = 1, expected = "a number of bytes" },
}
local save_rules = {
  compress = { type = "boolean" },
  metadata = { type = "table", expected = "a table of strings" },
}

local function check_options(where, path, rules, options, known)
  if options == nil then return {} end
  options = require("lkrun.internal.options").check(where, rules, options)
  for name in pairs(options) do
    if not known[name] then fail(where, "%s: its format has no option '%s'; expected a call without it", path, name) end
  end
  return options
end

---@class lkrun.LoadOptions
---@field name? string of `.npz`, `.safetensors` and bundles: this tensor alone
---@field copy? boolean tensors have memory of their own, which may be written, in place of the mapped file
---@field size_limit? integer of archives: bytes of all that is inside, at most; nil: 100 times its size, or 256 MiB

--- The model in a file. Tensors are read-only: where they are large, their memory is the file itself,
--- mapped, so that all processes that load it share one copy.
---
--- `.npy`: an array, as a tensor. `.npz`: a table of tensors by name, or where SciPy saved it a sparse
--- matrix. `.safetensors`: a table of tensors by name. `.lkz`, `.zip`, `.tar`, `.tar.zst` and so on: a
--- bundle, as what was saved. f16 and bf16 become f32.
---@param path string with one of these extensions
---@param options? lkrun.LoadOptions
---@return any model
---@return table<string, string>? metadata of `.safetensors`
--- Raises, naming the file and what in it, when it can't be read, is cut off or malformed, has a dtype
--- that tensors have not, or more in it than its size justifies. If it is cut off later, while it is
--- mapped, whatever uses the missing part raises.
function files.load(path, options)
  local format = format_of("lk.load", path)
  return format.load(path, check_options("lk.load", path, load_rules, options, format.load_options))
end

---@class lkrun.SaveOptions
---@field compress? boolean of `.npz`, `.lkz` and `.zip`: deflated, and so not to be mapped
---@field metadata? table<string, string> of `.safetensors`

--- Writes a model into a file, all or nothing: a file of that name is replaced once the new one is
--- whole and on the disk. The same model gives the same bytes.
---@param path string as in lk.load
---@param model any a tensor; tensors by name; a sparse matrix; for a bundle, what could be sent to a worker
---@param options? lkrun.SaveOptions
--- Raises, naming the file and the place in the model, when it can't be written; what was there before
--- is then unchanged.
function files.save(path, model, options)
  local format = format_of("lk.save", path)
  format.save(path, model, check_options("lk.save", path, save_rules, options, format.save_options))
end

return files

-- Archives and files of arrays made byte by byte, so that a test can put a false value into every field.
local archives = {}

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and 0xEDB88320 ~ c >> 1 or c >> 1 end
  crc_table[i] = c
end

local function crc32(bytes)
  local c = 0xFFFFFFFF
  for i = 1, #bytes do c = crc_table[(c ~ bytes:byte(i)) & 0xFF] ~ c >> 8 end
  return c ~ 0xFFFFFFFF
end

--- A zip. Each entry has a name and data; a test that wants a false value gives size, packed_size (of both headers),
--- method, crc, flags, mode (of a Unix file, with its kind) or offset (of its local header).
---@return string
function archives.zip(entries)
  local out, directory, at = {}, {}, 0
  for _, entry in ipairs(entries) do
    local data = entry.data or ""
    local crc, flags, method = entry.crc or crc32(data), entry.flags or 0, entry.method or 0
    local packed_size, size = entry.packed_size or #data, entry.size or #data
    local fields = string.pack("<I2I2I2I2I4I4I4I2I2", flags, method, 0, 0x21, crc, packed_size, size, #entry.name, 0)
    local whole = "PK\3\4\20\0" .. fields .. entry.name .. data
    directory[#directory + 1] = "PK\1\2\20\3\20\0" .. fields ..
      string.pack("<I2I2I2I4I4", 0, 0, 0, (entry.mode or 0x81A4) << 16, entry.offset or at) .. entry.name
    out[#out + 1] = whole
    at = at + #whole
  end
  local central = table.concat(directory)
  return table.concat(out) .. central ..
    "PK\5\6\0\0\0\0" .. string.pack("<I2I2I4I4I2", #entries, #entries, #central, at, 0)
end

--- A tar. Each entry has a name and data; it may have a false size, a type ("0", a file, by default) and a link.
---@return string
function archives.tar(entries)
  local out = {}
  for _, entry in ipairs(entries) do
    local data = entry.data or ""
    local function field(text, length) return text .. ("\0"):rep(length - #text) end
    local function header(sum)
      return field(entry.name, 100) .. "0000644\0" .. "0000000\0" .. "0000000\0" ..
        ("%011o\0"):format(entry.size or #data) .. "00000000000\0" .. sum .. (entry.type or "0") ..
        field(entry.link or "", 100) .. "ustar\0" .. "00" .. field("", 247)
    end
    local sum = 0
    for _, byte in ipairs { header("        "):byte(1, -1) } do sum = sum + byte end
    out[#out + 1] = header(("%06o\0 "):format(sum)) .. data .. ("\0"):rep(-#data % 512)
  end
  return table.concat(out) .. ("\0"):rep(1024)
end

--- An .npy file of f64 zeros, or whatever the fields say.
---@return string
function archives.npy(fields)
  fields = fields or {}
  local header = ("{'descr': '%s', 'fortran_order': False, 'shape': %s}\n"):format(fields.descr or "<f8",
    fields.shape or "(2,)")
  return "\x93NUMPY\1\0" .. string.pack("<s2", header) .. (fields.data or ("\0"):rep(16))
end

--- A .safetensors file with this header.
---@return string
function archives.safetensors(header, data, length)
  return string.pack("<I8", length or #header) .. header .. (data or "")
end

return archives

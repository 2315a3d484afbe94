-- Files that lie about what is in them. Each raises an error that names the file, the part of it and the reason, and
-- takes no memory that the size of the file does not justify.
local lk = require "lkrun"
local archives = require "tests.support.archives"
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

local zip, tar, npy, safetensors = archives.zip, archives.tar, archives.npy, archives.safetensors

describe("a hostile file", function()
  local folder, count
  setup(function()
    folder = new_folder()
    count = 0
  end)
  teardown(function() folder:remove() end)

  local function write(extension, bytes)
    count = count + 1
    local name = count .. "." .. extension
    folder:write(name, bytes)
    return folder:path(name)
  end

  local function compressed(command, bytes)
    local path = write("raw", bytes)
    assert(os.execute(("%s < '%s' > '%s.out'"):format(command, path, path)))
    local file <close> = assert(io.open(path .. ".out", "rb"))
    return file:read "a"
  end

  local manifest = '{"format":"lkrun bundle","version":1,"model":%s}'
  local function bundle(model) return { name = "manifest.json", data = manifest:format(model) } end

  local function refused(pattern, extension, bytes, options)
    local path = write(extension, bytes)
    for _, copy in ipairs { false, true } do
      options = options or {}
      options.copy = copy
      local ok, message = pcall(lk.load, path, options)
      assert.is_false(ok, pattern)
      assert.equal(1, message:find("lkrun: lk.load: " .. path .. ": ", 1, true), message)
      assert.matches(pattern, message)
    end
    os.remove(path)
  end

  -- An archive with this entry is refused as .npz, as a bundle in a zip, and as a bundle in a tar.
  local function entry_refused(pattern, entry)
    refused(pattern, "npz", zip { { name = "fine.npy", data = npy() }, entry })
    refused(pattern, "lkz", zip { bundle "1", entry })
    if not entry.mode and not entry.flags then refused(pattern, "tar", tar { bundle "1", entry }) end
  end

  it("is read where it is a fine one, made in the same way", function()
    local model = '{"a":{"$tensor":"a"},"n":1}'
    for extension, bytes in pairs {
      npz = zip { { name = "a.npy", data = npy() }, { name = "./folder/b.npy", data = npy() } },
      lkz = zip { bundle(model), { name = "a.npy", data = npy() }, { name = "readme.txt", data = "passed over" } },
      tar = tar { { name = "folder/", type = "5" }, { name = "./a.npy", data = npy() }, bundle(model) },
      safetensors = safetensors('{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}', ("\0"):rep(16)),
    } do
      assert.same({ 0, 0 }, lk.load(write(extension, bytes)).a:totable())
    end
  end)

  it("with entries whose names lead elsewhere", function()
    for _, name in ipairs {
      "../../x.npy", "/etc/x.npy", "a/../../x.npy", "..", "a\\..\\..\\x.npy", "\\x.npy", ".//x.npy",
    } do
      entry_refused("entry '.-': its name leads out of the archive", { name = name, data = npy() })
    end
    refused("its name leads out", "npz", zip { { name = "", data = npy() } })
  end)

  it("with links, devices and encrypted entries", function()
    entry_refused("entry 'x.npy': it is a link", { name = "x.npy", data = "/etc/passwd", mode = 0xA1FF })
    for kind, what in pairs { ["1"] = "a link", ["2"] = "a link", ["3"] = "not a regular file", ["6"] = "not a" } do
      refused("entry 'x.npy': it is " .. what, "tar",
        tar { bundle "1", { name = "x.npy", type = kind, link = "/etc/passwd" } })
    end
    entry_refused("entry 'x.npy': it is encrypted", { name = "x.npy", data = npy(), flags = 1 })
  end)

  it("with two entries of one name", function()
    refused("entry 'x.npy': there are two of this name", "npz",
      zip { { name = "x.npy", data = npy() }, { name = "./x.npy", data = npy() } })
    refused("entry 'manifest.json': there are two of this name", "lkz", zip { bundle "1", bundle "2" })
    refused("entry 'x.npy': there are two of this name", "tar",
      tar { { name = "x.npy", data = npy() }, { name = "x.npy", data = npy() } })
    local large = npy { shape = "(20000,)", data = ("\0"):rep(160000) } -- such are mapped
    refused("entry 'x.npy': there are two of this name", "npz",
      zip { { name = "x.npy", data = large }, { name = "x.npy", data = large } })
  end)

  it("with entries at places where none, or another one, is", function()
    local large = npy { shape = "(20000,)", data = ("\0"):rep(160000) }
    for _, data in ipairs { npy(), large } do
      refused("1 entries are at places of their own; expected 2, as it says", "npz",
        zip { { name = "x.npy", data = data }, { name = "y.npy", data = data, offset = 0 } })
      refused("its first entry: Damaged", "npz", zip { { name = "x.npy", data = data, offset = 20 } })
    end
    for _, offset in ipairs { 1 << 30, 0xFFFFFFFF } do
      refused("its first entry: Truncated", "npz", zip { { name = "x.npy", data = npy(), offset = offset } })
      refused("after entry 'manifest.json': Truncated", "lkz",
        zip { bundle "1", { name = "x.npy", data = npy(), offset = offset } })
    end
  end)

  it("with arrays that are not arrays of numbers", function()
    entry_refused("entry 'x.npy': its dtype is |O %(Python objects%)", { name = "x.npy", data = npy { descr = "|O" } })
    entry_refused("entry 'x.npy': its dtype is <c8", { name = "x.npy", data = npy { descr = "<c8" } })
    entry_refused("entry 'x.npy': it is not a .npy file", { name = "x.npy", data = "cos\nsystem\n(S'false'\ntR." })
    refused("entry 'evil.lua': it is not a .npy file", "npz", zip { { name = "evil.lua", data = "os.exit(1)" } })
  end)

  it("with arrays whose headers lie", function()
    for shape, why in pairs {
      ["(3,)"] = "16 bytes of data follow its header; expected 24 for f64 of %[3%]",
      ["(1,)"] = "16 bytes of data follow its header",
      ["(1000000000000,)"] = "16 bytes of data follow its header",
      ["(9223372036854775808,)"] = "a size beyond 2%^63",
      ["(9223372036854775807,)"] = "no tensor can have its shape",
      ["(4294967296, 4294967296, 4294967296)"] = "no tensor can have its shape",
      ["(-1,)"] = "negative size",
    } do
      entry_refused("entry 'x.npy': .*" .. why, { name = "x.npy", data = npy { shape = shape } })
    end
    entry_refused("its header claims 60000 bytes; expected at most",
      { name = "x.npy", data = "\x93NUMPY\1\0\x60\xEA{" })
  end)

  it("with entries that are larger than the file justifies", function()
    local GIB <const> = 1 << 30
    for _, size in ipairs { 7 * GIB, 300 << 20 } do
      refused("entry 'x.npy': with its " .. size .. " bytes the archive would become more than 268435456", "tar",
        tar { bundle "1", { name = "x.npy", size = size } })
      refused("would become more than 268435456.*size_limit = bytes allows more", "tar.gz",
        compressed("gzip", tar { { name = "x.npy", size = size, data = npy() } }))
    end
    refused("entry 'x.npy': with its 4294967280 bytes the archive would become", "npz",
      zip { { name = "x.npy", data = npy(), size = 0xFFFFFFF0, method = 8 } })
    refused("entry 'b.npy': with its 800 bytes the archive would become more than 850", "tar",
      tar { { name = "a.npy", data = npy() }, { name = "b.npy", size = 800 } }, { size_limit = 850 })
  end)

  -- A program fails to load a file of these bytes, with this message, and its memory hardly grows meanwhile.
  local function stays_small(pattern, extension, bytes)
    local path = write(extension, bytes)
    local result = program.run([[
      local lk = require "lkrun"
      local function peak()
        for line in io.lines "/proc/self/status" do
          local kib = line:match "^VmHWM:%s+(%d+)"
          if kib then return tonumber(kib) / 1024 end
        end
      end
      local before = peak()
      local ok, message = pcall(lk.load, arg[1])
      print(peak() - before, ok, message)
    ]], { args = { path } })
    local mib, ok, message = result.out:match "^(%S+)\t(%S+)\t(.*)"
    assert.equal("false", ok, result.out .. result.err)
    assert.matches(pattern, message)
    assert.is_true(tonumber(mib) < 50, mib)
    os.remove(path)
  end

  it("that would become large, before it becomes so", function()
    local zeros = 100 << 20 -- of f64
    local bombs = {
      tar = compressed("gzip -1", tar { { name = "x.npy", size = 300 << 20, data = ("\0"):rep(300 << 20) } }),
      shape = zip { { name = "x.npy", size = 200 << 20, data = npy { shape = "(" .. zeros .. ",)" }, method = 8 } },
    }
    stays_small("would become more than", "tar.gz", bombs.tar)
    -- The entry claims to be deflated, and is not.
    stays_small("entry 'x.npy': ", "npz", bombs.shape)
    -- There are fewer data than header, shape and size say: the missing ones take no memory.
    local start = npy { shape = "(25000000,)", data = "" }
    stays_small("entry 'x.npy': ", "tar.gz", compressed("head -c 100000 | gzip -1",
      tar { { name = "x.npy", size = #start + 200000000, data = start .. ("\0"):rep(1 << 20) } }))
  end)

  -- What is claimed would take 200 MB; the file has some hundred bytes.
  it("that claims much is refused before it gets memory, whatever its format", function()
    local much = npy { shape = "(25000000,)" }
    stays_small("16 bytes of data follow its header; expected 200000000 for f64 of %[25000000%]", "npy", much)
    stays_small("its header claims 1000000000 bytes", "npy", "\x93NUMPY\2\0" .. string.pack("<I4", 1000000000) .. "{")
    for _, entry in ipairs { { name = "x.npy", data = much }, { name = "x.npy", data = much, size = 200000080 },
      { name = "x.npy", data = much, size = 200000080, packed_size = 200000080 } } do
      stays_small("entry 'x.npy': ", "npz", zip { entry })
      stays_small("entry 'x.npy': ", "lkz", zip { bundle '{"$tensor":"x"}', entry })
      stays_small("entry 'x.npy': ", "tar", tar { bundle '{"$tensor":"x"}', entry })
    end
    stays_small("", "lkz", zip { { name = "manifest.json", data = "{", size = 200000000, packed_size = 200000000 } })
    for _, size in ipairs { 25000000, 1 << 40 } do
      stays_small("sparse", "lkz",
        zip { bundle(('{"$sparse":[%d,2,"a","a","a"]}'):format(size)), { name = "a.npy", data = npy() } })
    end
    stays_small("expected two within 1000 bytes of data", "safetensors",
      safetensors('{"a":{"dtype":"F64","shape":[25000000],"data_offsets":[0,200000000]}}', ("\0"):rep(1000)))
    stays_small("its header claims 90000000 bytes", "safetensors", safetensors("{", "", 90000000))
  end)

  it("that was cut off, anywhere", function()
    local model = { a = lk.tensor.randn { 20, 10 }, b = lk.tensor.randn { 200, 100 }, text = ("x"):rep(300) }
    for _, extension in ipairs { "npz", "safetensors", "lkz", "tar", "tar.gz", "tar.xz", "tar.zst", "tar.bz2" } do
      local path = folder:path("whole." .. extension)
      local whole = model
      if extension == "npz" or extension == "safetensors" then whole = { a = model.a, b = model.b } end
      lk.save(path, whole)
      local file <close> = io.open(path, "rb")
      local bytes = file:read "a"
      for _, keep in ipairs { 0, 1, 7, 30, 100, 600, 1700, #bytes // 2, #bytes - 1200 } do
        refused("%S", extension, bytes:sub(1, keep))
      end
      if not extension:find "tar" then refused("%S", extension, bytes:sub(1, -2)) end
    end
  end)

  it("whose bytes are damaged, where they are copied", function()
    local path = folder:path "whole.lkz"
    lk.save(path, { small = lk.tensor.ones { 10 }, large = lk.tensor.ones { 300, 100 } })
    local file <close> = io.open(path, "rb")
    local bytes = file:read "a"
    local place = bytes:find(string.pack("dd", 1, 1), 1, true)
    path = write("lkz", bytes:sub(1, place - 1) .. string.pack("d", 2) .. bytes:sub(place + 8))
    assert.error_matches(function() lk.load(path, { copy = true }) end, "entry '%a+.npy': .*CRC")
  end)

  it("with a manifest that is none", function()
    local function manifest_refused(pattern, text)
      refused("manifest.json: .*" .. pattern, "lkz",
        zip { { name = "manifest.json", data = text }, { name = "a.npy", data = npy() } })
    end
    refused("there is no entry 'manifest.json'; expected a bundle", "lkz", zip { { name = "a.npy", data = npy() } })
    manifest_refused("its version is 2; this lkrun, %S+, reads version 1: use a newer one",
      '{"format":"lkrun bundle","version":2,"model":[]}')
    manifest_refused("it is not that of a bundle", "[]")
    manifest_refused("it is not that of a bundle", '{"version":1,"model":[]}')
    manifest_refused("it has no model", '{"format":"lkrun bundle","version":1}')
    manifest_refused("duplicate object key", '{"format":"lkrun bundle","version":1,"model":{"a":1,"a":2}}')
    manifest_refused("line 1, column", '{"format":"lkrun bundle","version":1,"model":')
    manifest_refused("line 1, column", manifest:format(("["):rep(100000) .. ("]"):rep(100000)))
    for text, why in pairs {
      ['{"$tensor":"b"}'] = "there is no array 'b'",
      ['{"$tensor":"../a"}'] = "there is no array '../a'",
      ['{"$tensor":["a"]}'] = "the name of an array is not a string",
      ['{"$tensor":"a","x":1}'] = "'$tensor' is nothing that a bundle of version 1 has there",
      ['{"$pickle":"x"}'] = "'$pickle' is nothing that a bundle",
      ['{"$sparse":[1,2,"a","a","a"]}'] = "sparse",
      ['{"$sparse":[9223372036854775807,2,"a","a","a"]}'] = "sparse",
      ['{"$sparse":[1]}'] = "$sparse is not two sizes and the names of three arrays",
      ['{"$table":[1]}'] = "$table is not a sequence of keys and values",
      ['{"$table":[[],1]}'] = "a key of $table is not a boolean, number, string or null",
      ['{"$table":[{"$float":"nan"},1]}'] = "a key of $table is not a boolean",
      ['{"$table":[1,1,1,2]}'] = "$table has the key 1 twice",
      ['{"$float":"1.5"}'] = "$float is none of",
      ['{"$float":"nan:0000000000000001"}'] = "$float is none of",
      ['{"$bytes":"abc"}'] = "$bytes is not a string of pairs",
      ['{"$bytes":"zz"}'] = "$bytes is not a string of pairs",
      ['{"$use":1}'] = "$use of what is not defined before",
      ['[{"$define":1,"as":[]},{"$define":1,"as":[]}]'] = "$define has the same number twice",
      ['{"$define":1,"as":5}'] = "$define is of neither a table nor a matrix",
      ['{"$define":0,"as":[]}'] = "$define is not a number from 1",
      ['{"$define":1,"as":{"$define":2,"as":[]}}'] = "is nothing that a bundle of version 1 has there",
    } do
      manifest_refused(why:gsub("%p", "%%%0"), manifest:format(text))
    end
  end)

  it("that is a .safetensors file with a header that lies", function()
    local zeros = ("\0"):rep(16)
    local function header_refused(pattern, header, data, length)
      refused(pattern, "safetensors", safetensors(header, data or zeros, length))
    end
    local function one(fields) return ('{"a":{%s}}'):format(fields) end
    refused("too short", "safetensors", "\0\0\0")
    refused("it is empty", "safetensors", "")
    header_refused("its header claims 9223372036854775808 bytes; expected at most", "{}", "", math.mininteger)
    header_refused("its header claims 1000 bytes; expected at most 18", "{}", zeros, 1000)
    header_refused("its header, column", "{", "")
    header_refused("its header, column %d+: duplicate object key", '{"a":1,"a":2}')
    header_refused("its header is not an object", "[]")
    header_refused("tensor 'a': its keys are others; expected dtype, shape and data_offsets", '{"a":1}')
    header_refused("tensor 'a': its keys are others; expected dtype, shape and", one '"dtype":"F64","shape":[2]')
    header_refused("tensor 'a': its dtype is I8; expected F64,", one '"dtype":"I8","shape":[16],"data_offsets":[0,16]')
    header_refused("tensor 'a': its shape is not a list", one '"dtype":"F64","shape":2,"data_offsets":[0,16]')
    header_refused("tensor 'a': its shape has something else than sizes",
      one '"dtype":"F64","shape":[-2],"data_offsets":[0,16]')
    header_refused("its header, column %d+: too big integer",
      one '"dtype":"F64","shape":[9223372036854775808],"data_offsets":[0,16]')
    header_refused("tensor 'a': no tensor can have its shape",
      one '"dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,16]')
    header_refused("tensor 'a': no tensor can have its shape",
      one '"dtype":"F64","shape":[4294967296,4294967296,2],"data_offsets":[0,16]')
    header_refused("tensor 'a': it has 17 dimensions",
      one('"dtype":"F64","shape":[' .. ("1,"):rep(16) .. '1],"data_offsets":[0,8]'))
    header_refused("its data_offsets are 16 apart; expected 24 for f64 of %[3%]",
      one '"dtype":"F64","shape":[3],"data_offsets":[0,16]')
    for _, offsets in ipairs { "0,17", "-1,15", "16,0", "9223372036854775807,9223372036854775807" } do
      header_refused("tensor 'a': its data_offsets are .*; expected two within 16 bytes of data",
        one('"dtype":"F64","shape":[2],"data_offsets":[' .. offsets .. "]"))
    end
    header_refused("tensor 'a': its data_offsets are not two integers",
      one '"dtype":"F64","shape":[2],"data_offsets":[0]')
    local two = '{"a":{"dtype":"F64","shape":[1],"data_offsets":[%d,%d]},' ..
      '"b":{"dtype":"F64","shape":[1],"data_offsets":[%d,%d]}}'
    header_refused("tensor 'b': it begins inside tensor 'a'", two:format(0, 8, 4, 12))
    header_refused("tensor '.': it begins inside tensor '.'", two:format(0, 8, 0, 8))
    header_refused("bytes from 0 of the data on belong to no tensor", two:format(8, 16, 16, 24), ("\0"):rep(24))
    header_refused("bytes from 8 of the data on", one '"dtype":"F64","shape":[1],"data_offsets":[0,8]')
    header_refused("__metadata__: 'x' is not a string", '{"__metadata__":{"x":1}}', "")
    refused("there is no tensor 'b'", "safetensors",
      safetensors(one '"dtype":"F64","shape":[2],"data_offsets":[0,16]', zeros), { name = "b" })
  end)

  it("that is a sparse matrix which is none", function()
    local function array(descr, values)
      local pack = ({ ["<i8"] = "i8", ["<i4"] = "i4", ["<f8"] = "d" })[descr]
      return npy { descr = descr, shape = ("(%d,)"):format(#values), data = string.pack("<" .. pack:rep(#values),
        table.unpack(values)) }
    end
    local function matrix(fields)
      return zip {
        { name = "format.npy", data = npy { descr = "|S3", shape = "()", data = fields.format or "csr" } },
        { name = "shape.npy", data = array("<i8", fields.shape or { 2, 3 }) },
        { name = "data.npy", data = array("<f8", fields.data or { 1, 2, 3 }) },
        { name = "indices.npy", data = array("<i4", fields.indices or { 0, 2, 1 }) },
        { name = "indptr.npy", data = array("<i4", fields.indptr or { 0, 2, 3 }) },
        { name = "row.npy", data = array("<i4", { 0, 1, 1 }) },
        { name = "col.npy", data = array("<i4", { 0, 1, 1 }) },
      }
    end
    assert.same({ { 1, 0, 2 }, { 0, 3, 0 } }, lk.load(write("npz", matrix {})):todense():totable())
    refused("its layout is bsr; expected csr, csc or coo", "npz", matrix { format = "bsr" })
    refused("its shape has 3 sizes", "npz", matrix { shape = { 1, 2, 3 } })
    refused("'indptr' does not go from 0 to the 3 entries", "npz", matrix { indptr = { 0, 4, 3 } })
    refused("'indptr' does not go from 0", "npz", matrix { indptr = { 0, 3 } })
    refused("'indptr' does not go from 0", "npz", matrix { indptr = { 0, -1, 3 } })
    refused("'indptr' does not go from 0", "npz", matrix { shape = { math.maxinteger, 3 } })
    refused("'indptr' does not go from 0", "npz", matrix { shape = { -1, 3 } })
    refused("column 4; expected from 1 to 3", "npz", matrix { indices = { 0, 3, 1 } })
    refused("column 0; expected from 1 to 3", "npz", matrix { indices = { 0, -1, 1 } })
    refused("the columns have the shape %[3%]; expected %[2%]", "npz", matrix { data = { 1, 2 } })
    refused("its shape has 1099511627776 rows, which its 3 entries do not justify", "npz",
      matrix { format = "coo", shape = { 1 << 40, 3 } })
    refused("there is no array 'data'", "npz",
      zip { { name = "format.npy", data = npy { descr = "|S3", shape = "()", data = "coo" } },
        { name = "shape.npy", data = array("<i8", { 2, 2 }) }, { name = "row.npy", data = array("<i4", { 0 }) },
        { name = "col.npy", data = array("<i4", { 0 }) } })
  end)
end)

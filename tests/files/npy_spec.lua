-- .npy files: what is written, what is read, and what is refused.
-- runs under: thread
local lk = require "lkrun"
local tensor = lk.tensor
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

describe("npy", function()
  local folder, count
  setup(function()
    folder = new_folder()
    count = 0
  end)
  teardown(function() folder:remove() end)

  local function new_path()
    count = count + 1
    return folder:path(count .. ".npy")
  end

  local function write(bytes)
    local path = new_path()
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(bytes))
    return path
  end

  local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
  end

  -- A file with this dictionary, however wrong.
  local function npy(dictionary, data, version, length)
    version = version or 1
    return "\x93NUMPY" .. string.char(version, 0) ..
        string.pack(version == 1 and "<I2" or "<I4", length or #dictionary) .. dictionary .. data
  end

  local function dictionary(descr, order, shape)
    return ("{'descr': %s, 'fortran_order': %s, 'shape': %s, }\n"):format(descr, order, shape)
  end

  local shapes = { {}, { 0 }, { 1 }, { 7 }, { 3, 4 }, { 0, 3 }, { 3, 0 }, { 1, 5 }, { 5, 1 }, { 2, 3, 4 },
    { 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2 }, { 100, 200 } }

  local bytes = { f64 = 8, f32 = 4, i64 = 8, i32 = 4, u8 = 1, bool = 1 }
  for _, dtype in ipairs { "f64", "f32", "i64", "i32", "u8", "bool" } do
    it("reads back what it wrote, of every shape and stride, as " .. dtype, function()
      for _, shape in ipairs(shapes) do
        local t = tensor.zeros(shape, dtype)
        local flat = t:view(t:numel())
        for i = 1, #flat do flat[i] = i % (dtype == "bool" and 2 or 100) end
        local views = { t }
        if #shape >= 2 then
          views[2] = t:transpose(1, #shape)
          views[3] = t:narrow(#shape, 1, shape[#shape] // 2)
          views[4] = t:narrow(1, 1, shape[1] // 2):transpose(1, 2)
        end
        for _, view in ipairs(views) do
          local path = new_path()
          lk.save(path, view)
          local back = lk.load(path)
          assert.same(view:size(), back:size())
          assert.equal(view.dtype, back.dtype)
          assert.is_true(tensor.equal(view, back))
          assert.equal(0, (#read(path) - view:numel() * bytes[dtype]) % 64)
          os.remove(path)
        end
      end
    end)
  end

  it("writes NumPy's own bytes", function()
    local path = new_path()
    lk.save(path, tensor.from({ { 1, 2, 3 }, { 4, 5, 6 } }, "f64"))
    local header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }"
    assert.equal("\x93NUMPY\1\0" .. string.pack("<I2", 118) .. header .. (" "):rep(117 - #header) .. "\n" ..
      string.pack("<dddddd", 1, 2, 3, 4, 5, 6), read(path))
    lk.save(path, tensor.from({ { 1, 2, 3 }, { 4, 5, 6 } }, "u8"):t())
    header = "{'descr': '|u1', 'fortran_order': True, 'shape': (3, 2), }"
    assert.equal(header, read(path):sub(11, 10 + #header))
    assert.equal("\1\2\3\4\5\6", read(path):sub(-6))
    lk.save(path, tensor.from({ true, false }, "bool"))
    header = "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }"
    assert.equal(header, read(path):sub(11, 10 + #header))
    lk.save(path, tensor.full({}, 7, "i32"))
    header = "{'descr': '<i4', 'fortran_order': False, 'shape': (), }"
    assert.equal(header, read(path):sub(11, 10 + #header))
  end)

  it("reads versions 1, 2 and 3, both byte orders, C and Fortran order", function()
    for version = 1, 3 do
      for mark, pack in pairs { ["<"] = "<", [">"] = ">" } do
        local kinds = { { "f8", "d", "f64" }, { "f4", "f", "f32" }, { "i8", "i8", "i64" }, { "i4", "i4", "i32" } }
      for _, kind in ipairs(kinds) do
          local data = string.pack(pack .. kind[2]:rep(6), 1, 2, 3, 4, 5, 6)
          local c = lk.load(write(npy(dictionary("'" .. mark .. kind[1] .. "'", "False", "(2, 3)"), data, version)))
          assert.equal(kind[3], c.dtype)
          assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, c:totable())
          local f = lk.load(write(npy(dictionary("'" .. mark .. kind[1] .. "'", "True", "(2, 3)"), data, version)))
          assert.same({ { 1, 3, 5 }, { 2, 4, 6 } }, f:totable())
        end
      end
    end
    assert.same({ 1, 255 }, lk.load(write(npy(dictionary("'|u1'", "False", "(2,)"), "\1\255"))):totable())
    assert.same({ true, false, true }, lk.load(write(npy(dictionary("'|b1'", "False", "(3,)"), "\1\0\2"))):totable())
    assert.equal(1, lk.load(write(npy(dictionary("'|b1'", "False", "(1,)"), "\2"))):sum())
  end)

  it("reads the dictionary in any order and spacing", function()
    local data = string.pack("<d", 42)
    for _, text in ipairs {
      "{'descr':'<f8','fortran_order':False,'shape':()}",
      "{ \"shape\" : ( 1 , ) ,\n \"descr\" : \"<f8\" , \"fortran_order\" : True }   \n",
      "\t{'shape': (1, 1,), 'fortran_order': False, 'descr': 'f8'}",
      "{'descr': '=f8', 'fortran_order': False, 'shape': (1,), }" .. (" "):rep(1000) .. "\n",
    } do
      assert.equal(42.0, lk.load(write(npy(text, data, 2))):item())
    end
  end)

  local function refused(pattern, content)
    local path = write(content)
    local ok, message = pcall(lk.load, path)
    assert.is_false(ok)
    assert.equal(1, message:find("lkrun: lk.load: " .. path .. ": ", 1, true))
    assert.matches(pattern, message)
  end

  it("names a dtype that tensors have not", function()
    local names = { ["<f16"] = "long double", ["<c8"] = "complex64", ["<c16"] = "complex128",
      ["|O"] = "Python objects", ["|S5"] = "byte strings", ["<U3"] = "strings", ["|i1"] = "int8",
      [">i2"] = "int16", ["<u2"] = "uint16",
      ["<u4"] = "uint32", ["<u8"] = "uint64",
      ["<M8[ns]"] = "dates or times", ["|V8"] = "raw bytes", ["x9"] = "unknown" }
    for code, meaning in pairs(names) do
      refused("its dtype is " .. code:gsub("%p", "%%%0") .. " %(" .. meaning .. "%)",
        npy(dictionary("'" .. code .. "'", "False", "(1,)"), ("\0"):rep(16)))
    end
    refused("its dtype is structured, %[%('a', '<f4'%)", npy(dictionary("[('a', '<f4')]", "False", "(1,)"), "\0\0\0\0"))
  end)

  it("refuses what is not a .npy file", function()
    refused("it is empty", "")
    refused("too short", "\x93NUM")
    refused("does not begin with", "PK\3\4 and so on")
    refused("version 4.0; expected 1.0, 2.0 or 3.0", "\x93NUMPY\4\0\10\0\0\0")
    refused("version 1.1", "\x93NUMPY\1\1\10\0")
    refused("version 0.0", "\x93NUMPY\0\0\10\0")
  end)

  it("refuses lengths that lie", function()
    local fine = dictionary("'<f8'", "False", "(2,)")
    refused("ends inside its header", "\x93NUMPY\1\0\10")
    refused("its header claims 4294967295 bytes", npy(fine, ("\0"):rep(16), 2, 0xffffffff))
    refused("its header claims 500 bytes; expected at most the %d+ that follow", npy(fine, ("\0"):rep(16), 1, 500))
    refused("its header ends; expected a key", npy(fine, ("\0"):rep(16), 1, 16))
    refused("8 bytes of data follow its header; expected 16 for f64 of %[2%]", npy(fine, ("\0"):rep(8)))
    refused("17 bytes of data follow", npy(fine, ("\0"):rep(17)))
  end)

  it("refuses shapes that no tensor can have, before asking for memory", function()
    local function shape(text) return npy(dictionary("'<f8'", "False", text), ("\0"):rep(8)) end
    refused("8 bytes of data follow its header; expected %d+ for f64 of %[1000000000000000%]",
      shape "(1000000000000000,)")
    refused("no tensor can have its shape", shape "(1152921504606846976, 1152921504606846976)")
    refused("no tensor can have its shape", shape "(0, 4611686018427387904, 4)")
    refused("no tensor can have its shape", shape "(4611686018427387904,)")
    refused("a size beyond 2%^63", shape "(9223372036854775808,)")
    refused("a size beyond 2%^63", shape "(99999999999999999999999999999,)")
    refused("a negative size, %-1", shape "(-1,)")
    refused("more dimensions than a tensor; expected at most 16", shape("(" .. ("1, "):rep(17) .. ")"))
    refused("has \",%), }\"; expected a size", shape "(,)")
    refused("a number in parentheses", shape "(1)")
    refused("; expected a tuple of sizes", shape "1")
    refused("; expected a tuple of sizes", shape "[1]")
    refused("; expected a size", shape "('1',)")
    refused("; expected a comma or a closing parenthesis", shape "(1L,)")
    refused("; expected a comma or a closing parenthesis", shape "(1.5,)")
    refused("; expected a comma or a closing parenthesis", shape "(1 1)")
  end)

  it("refuses headers that are not the dictionary", function()
    local data = ("\0"):rep(8)
    refused("; expected a dictionary", npy("[1, 2]\n", data))
    refused("; expected a dictionary", npy("", data))
    refused("; expected a dictionary", npy("__import__('os').system('false')", data))
    refused("lacks descr, fortran_order or shape", npy("{}", data))
    refused("lacks descr", npy("{'descr': '<f8', 'shape': (1,)}", data))
    refused("the key descr twice", npy("{'descr': '<f8', 'descr': '<f8'}", data))
    refused("the key order;", npy("{'order': 'C'}", data))
    refused("; expected a key", npy("{descr: '<f8'}", data))
    refused("; expected a key", npy("{, }", data))
    refused("; expected a colon", npy("{'descr' '<f8'}", data))
    refused("; expected a dtype", npy("{'descr': 8}", data))
    refused("; expected a dtype", npy("{'descr': '<f\\x38'}", data))
    refused("; expected a dtype", npy("{'descr': '<f8", data))
    refused("; expected True or False", npy("{'fortran_order': 0}", data))
    refused("; expected a comma or a closing brace", npy("{'fortran_order': True 'shape': ()}", data))
    refused("; expected the end", npy(dictionary("'<f8'", "False", "(1,)") .. "x", data))
    refused("header ends; expected", npy("{'descr': '<f8', 'shape': (1,", data))
  end)

  it("survives a flipped byte anywhere in the header", function()
    local whole = npy(dictionary("'<f8'", "False", "(2, 3)"), ("\0"):rep(48))
    for i = 1, #whole - 48 do
      for _, byte in ipairs { 0, 32, 39, 40, 57, 123, 255 } do
        local path = write(whole:sub(1, i - 1) .. string.char(byte) .. whole:sub(i + 1))
        local ok, result = pcall(lk.load, path)
        assert.is_true(ok and result:numel() == 6 or result:find("lkrun: lk.load: " .. path, 1, true) == 1)
        os.remove(path)
      end
    end
  end)

  it("says why a file can't be read or written", function()
    local function fails(pattern, f, ...)
      local arguments = table.pack(...)
      assert.error_matches(function() f(table.unpack(arguments, 1, arguments.n)) end, pattern)
    end
    local t = tensor.ones { 2 }
    fails("^lkrun: lk.load: /no/such/file.npy: No such file", lk.load, "/no/such/file.npy")
    fails("^lkrun: lk.load: the path is nil; expected a string", lk.load)
    fails("has no extension that is known; expected .npy, .npz", lk.load, "file.xyz")
    fails("has no extension that is known", lk.save, "file", t)
    fails("argument 2 is nil; expected a tensor", lk.save, folder:path "x.npy")
    fails("its folder does not exist; make it first", lk.save, "/no/such/file.npy", t)
    assert(os.execute("mkdir " .. folder:path "folder.npy"))
    fails("it is a directory", lk.load, folder:path "folder.npy")
    fails("it is a directory", lk.save, folder:path "folder.npy", t)
    assert(os.execute("mkfifo " .. folder:path "pipe.npy"))
    fails("not a regular file", lk.load, folder:path "pipe.npy")
    fails("not a regular file", lk.save, folder:path "pipe.npy", t)
    assert(os.execute("ln -s nowhere " .. folder:path "loose.npy"))
    fails("a link that leads nowhere", lk.save, folder:path "loose.npy", t)
    fails("a NUL byte", lk.load, "a\0.npy")
  end)

  it("leaves the old file and nothing else when the disk is full", function()
    local place = folder:path "full"
    assert(os.execute(("mkdir '%s'"):format(place)))
    lk.save(place .. "/x.npy", tensor.ones { 3 })
    local result = program.run([[
      local lk = require "lkrun"
      print(pcall(lk.save, arg[1], lk.tensor.zeros { 6000 }))
    ]], { args = { place .. "/x.npy" }, shell = "trap '' XFSZ; ulimit -f 8" })
    assert.equal(("false\tlkrun: lk.save: %s/x.npy: writing failed: File too large\n"):format(place), result.out)
    assert.same({ 1, 1, 1 }, lk.load(place .. "/x.npy"):totable())
    local listing <close> = io.popen(("ls -A '%s'"):format(place))
    assert.equal("x.npy\n", listing:read "a")
  end)

  it("replaces a file at once, through a link too, and leaves nothing else behind", function()
    local place = folder:path "place"
    assert(os.execute(("mkdir '%s' && touch '%s/real.npy' && chmod 640 '%s/real.npy' && ln -s real.npy '%s/link.npy'")
      :format(place, place, place, place)))
    lk.save(place .. "/link.npy", tensor.ones { 3 })
    assert.same({ 1, 1, 1 }, lk.load(place .. "/real.npy"):totable())
    local listing <close> = io.popen(("cd '%s' && ls -A && stat -c %%a real.npy && readlink link.npy"):format(place))
    assert.equal("link.npy\nreal.npy\n640\nreal.npy\n", listing:read "a")
  end)
end)

-- Bundles: any model in an archive, and back.
local lk = require "lkrun"
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"
local tensor = lk.tensor

describe("a bundle", function()
  local folder, count
  setup(function()
    folder = new_folder()
    count = 0
  end)
  teardown(function() folder:remove() end)

  local function new_path(extension)
    count = count + 1
    return folder:path(count .. "." .. (extension or "lkz"))
  end

  local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
  end

  local function again(model, extension, options)
    local path = new_path(extension)
    lk.save(path, model, options)
    return lk.load(path), path
  end

  local extensions = { "lkz", "zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "tar.zst", "tar.lz4", "tar.lzma",
    "tar.lz", "TAR.GZ" }

  it("holds tensors and values, in every kind of archive", function()
    local factors = tensor.randn { 200, 64 }
    for _, extension in ipairs(extensions) do
      local back = again({ factors = factors, bias = factors:select(2, 3), epochs = 20, name = "als" }, extension)
      assert.is_true(tensor.equal(factors, back.factors))
      assert.is_true(tensor.equal(factors:select(2, 3), back.bias))
      back.factors, back.bias = nil, nil
      assert.same({ epochs = 20, name = "als" }, back)
    end
  end)

  it("holds every scalar exactly", function()
    local numbers = { 0, 1, -1, 2 ^ 53, math.maxinteger, math.mininteger, 0.0, -0.0, 1 / 3, 1e308, 5e-324, 3.0,
      math.huge, -math.huge, math.pi, 9007199254740993 }
    local back = again(numbers)
    for i, number in ipairs(numbers) do
      assert.equal(math.type(number), math.type(back[i]))
      assert.equal(string.pack("n", number), string.pack("n", back[i]))
    end
    for _, bits in ipairs { 0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0x7fffffffffffffff } do
      local nan = string.unpack("d", string.pack("i8", bits))
      assert.equal(string.pack("d", nan), string.pack("d", (again { nan })[1]))
    end
    for _, value in ipairs { true, false, lk.null, "", "text", "\0", "\xff\0\x80", "é\u{1F600}", ("x"):rep(100000) } do
      assert.equal(value, again(value))
      assert.equal(value, again({ value })[1])
    end
  end)

  it("gives each array a name of its own, whatever the keys", function()
    local one = function(n) return lk.tensor.ones { 1 } * n end
    local model = { ["a!"] = one(1), ["a?"] = one(2), ["a!-2"] = one(3), ["a?-2"] = one(4), ["a-"] = one(5) }
    local back = again(model)
    for key, array in pairs(model) do assert.equal(array:get(1), back[key]:get(1)) end
  end)

  it("holds tables with any keys, shared and cyclic ones", function()
    local shared = { 1, 2 }
    local model = {
      list = { 1, "two", { 3 } }, hole = { 1, nil, 3 }, empty = {}, [1] = "one", [2.5] = "float", [true] = false,
      [-3] = "negative", ["\xff"] = "bytes", ["a\0b"] = "nul", ["$tensor"] = "no tensor", [math.huge] = "inf",
      [lk.null] = "null", a = shared, b = { shared },
    }
    model.self = model
    local back = again(model)
    assert.equal(back, back.self)
    assert.equal(back.a, back.b[1])
    assert.equal(3, back.hole[3])
    model.self, back.self = nil, nil
    assert.same(model, back)
  end)

  it("holds tensors of every dtype, shape and stride, each once", function()
    for _, dtype in ipairs { "f64", "f32", "i64", "i32", "u8", "bool" } do
      local t = tensor.from({ { 1, 0, 1 }, { 0, 1, 1 } }, "u8")
      t = tensor.from(t, dtype)
      local model = { t, t:t(), t:narrow(2, 2, 1), t:select(1, 1), tensor.zeros({}, dtype),
        tensor.zeros({ 0, 3 }, dtype), t }
      local back = again(model)
      for i, part in ipairs(model) do
        assert.equal(dtype, back[i].dtype)
        assert.same(part:size(), back[i]:size())
        assert.is_true(tensor.equal(part, back[i]))
      end
      assert.equal(back[1], back[7])
    end
    assert.is_true(tensor.equal(tensor.ones { 3 }, again(tensor.ones { 3 })))
  end)

  it("holds sparse matrices", function()
    local m = lk.sparse.csr(tensor.from({ 1, 1, 3 }, "i64"), tensor.from({ 2, 4, 1 }, "i64"),
      tensor.from({ 1, 2, 3 }, "f32"), { 3, 5 })
    local back = again { m, same = m }
    assert.equal(back[1], back.same)
    assert.same({ 3, 5 }, back[1]:size())
    assert.equal("f32", back[1].dtype)
    assert.is_true(tensor.equal(m:todense(), back[1]:todense()))
  end)

  it("maps its tensors, unless copies are wanted, and all are read-only, unless they are", function()
    local model = { large = tensor.ones { 300, 100 }, small = tensor.ones { 3 } }
    for _, extension in ipairs(extensions) do
      local _, path = again(model, extension)
      local bytes = require("lkrun.core.tensor").bytes
      collectgarbage() collectgarbage()
      local before = bytes()
      local back = lk.load(path)
      local is_mapped = extension == "lkz" or extension == "zip" or extension == "tar"
      assert.equal(is_mapped, bytes() - before < 1000, extension)
      for _, part in pairs(back) do
        assert.error_matches(function() part:fill(0) end, "was loaded from a file, and is read%-only")
      end
      back = lk.load(path, { copy = true })
      for _, part in pairs(back) do part:fill(0) end
    end
    local _, path = again(model, "lkz", { compress = true })
    assert.is_true(#read(path) < 3000)
    assert.equal(30000.0, lk.load(path).large:sum())
  end)

  it("gives the same bytes for the same model", function()
    local function model(keys)
      local t = {}
      for _, key in ipairs(keys) do t[key] = tensor.full({ 5 }, #key) end
      return { t, t = t, [2.5] = 1, [true] = 2, n = 1 }
    end
    for _, extension in ipairs(extensions) do
      local _, one = again(model { "a", "bb", "ccc", "x.y", "x_y" }, extension)
      local _, other = again(model { "x_y", "ccc", "x.y", "bb", "a" }, extension)
      assert.equal(read(one), read(other))
      local _, third = again(lk.load(one), extension)
      assert.equal(read(one), read(third))
    end
  end)

  it("gives the same bytes in another process, at another time, in another place", function()
    local code = [[
      local lk = require "lkrun"
      local model, shared = {}, {}
      for i = 1, 50 do model["key" .. i] = lk.tensor.ones { i } end
      if not arg[1]:find "npz$" then
        for i = 1, 200 do model[i / 3] = { i, shared, ["é" .. i] = 1 } end
      end
      lk.save(arg[1], model)
    ]]
    for _, extension in ipairs { "lkz", "tar.gz", "npz" } do
      local one, other = new_path(extension), new_path(extension)
      for path, env in pairs { [one] = { TZ = "Asia/Tokyo", LC_ALL = "C" }, [other] = { LC_ALL = "C.UTF-8" } } do
        local result = program.run(code, { args = { path }, env = env, shell = path == one and "umask 077" or nil })
        assert.equal(0, result.status, result.err)
      end
      assert.equal(read(one), read(other))
      assert.equal("600", program.capture(("stat -c %%a '%s'"):format(one)))
    end
  end)

  it("names arrays after where they are", function()
    local _, path = again { users = { factors = tensor.ones { 2 } }, [1] = tensor.ones { 2 },
      ["a b"] = tensor.ones { 1 }, ["a_b"] = tensor.zeros { 1 } }
    assert.equal(2.0, lk.load(path, { name = "users.factors" }):sum())
    assert.equal(2.0, lk.load(path, { name = "1" }):sum())
    assert.equal(1.0, lk.load(path, { name = "a_b" }):sum())
    assert.equal(0.0, lk.load(path, { name = "a_b-2" }):sum())
    assert.error_matches(function() lk.load(path, { name = "users" }) end, "there is no entry 'users.npy'")
  end)

  it("says where what cannot be saved is, and leaves nothing behind", function()
    local path = new_path()
    local function refused(pattern, model)
      assert.error_matches(function() lk.save(path, model) end, "^lkrun: lk.save: .-%d+.lkz: " .. pattern)
    end
    refused("model: nil cannot be saved", nil)
    refused("model.callback: a function cannot be saved", { callback = print })
    refused("model.a%[2%]%.b: a coroutine cannot be saved", { a = { 1, { b = coroutine.create(print) } } })
    refused("model.object: a table with a metatable cannot be saved", { object = setmetatable({}, {}) })
    refused("model: a table key that is a table cannot be saved", { [{}] = 1 })
    refused("model.file: a userdata %(FILE%*%) cannot be saved", { file = io.stdout })
    local deep = {}
    for _ = 1, 3000 do deep = { deep } end
    refused("model%[1%]%[1%].*nested too deep to be saved", deep)
    assert.is_nil(folder:entries():find(path:match "[^/]+$", 1, true))
    deep = {}
    for _ = 1, 1900 do deep = { deep } end
    assert.is_table(again(deep)[1][1])
  end)

  it("leaves the old file and nothing else when the disk is full, as do other formats", function()
    local place <close> = new_folder()
    for _, extension in ipairs { "lkz", "tar.gz", "npz", "safetensors" } do
      local path = place:path("x." .. extension)
      lk.save(path, { t = tensor.ones { 3 } })
      local before = read(path)
      local result = program.run([[
        local lk = require "lkrun"
        print(pcall(lk.save, arg[1], { t = lk.tensor.randn { 6000 } }))
      ]], { args = { path }, shell = "trap '' XFSZ; ulimit -f 8" })
      assert.equal(("false\tlkrun: lk.save: %s: writing failed: File too large\n"):format(path), result.out)
      assert.equal(before, read(path))
    end
    assert.equal("x.lkz x.npz x.safetensors x.tar.gz", place:entries())
  end)

  it("knows its options", function()
    local path = new_path()
    lk.save(path, { 1 })
    local function refused(pattern, f, ...)
      local arguments = table.pack(...)
      assert.error_matches(function() f(table.unpack(arguments, 1, arguments.n)) end, pattern)
    end
    refused("lk.load: unknown option 'mode'; there are copy, name, size_limit", lk.load, path, { mode = 1 })
    refused("lk.load: name is 1; expected a string", lk.load, path, { name = 1 })
    refused("lk.load: the options are a string", lk.load, path, "x")
    refused("lk.load: size_limit is 0; expected a number of bytes", lk.load, path, { size_limit = 0 })
    refused("lk.save: .*tar: its format has no option 'compress'", lk.save, folder:path "x.tar", {},
      { compress = true })
    refused("x.npy: its format has no option 'name'", lk.load, "x.npy", { name = "x" })
    refused("has no extension that is known", lk.load, "x.tar.7z")
  end)
end)

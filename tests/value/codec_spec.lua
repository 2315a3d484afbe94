-- runs under: thread
local lk = require "lkrun"
local codec = require "lkrun.core.codec"
local tensor = lk.tensor
local encode, decode = codec.encode, codec.decode

local function travel(...) return decode(encode(...)) end

-- Equal in every bit: the kinds of numbers, the signs of zeros, NaNs.
local function bits(x) return math.type(x) .. string.pack(math.type(x) == "float" and "n" or "j", x) end

-- Whether b has the shape of a, sharing and cycles included: `seen` maps tables of a to those of b.
local function same(a, b, seen)
  if type(a) ~= type(b) then return false end
  if type(a) == "number" then return bits(a) == bits(b) end
  if type(a) ~= "table" then return a == b end
  if seen[a] or seen[b] then return seen[a] == b and seen[b] == a end
  seen[a], seen[b] = b, a
  local keys = 0
  for k, v in next, a do
    keys = keys + 1
    local other = rawget(b, k)
    if other == nil or not same(v, other, seen) then return false end
  end
  for _ in next, b do keys = keys - 1 end
  return keys == 0
end

local function assert_travels(value)
  local arrived = travel(value)
  assert.is_true(same(value, arrived, {}))
  return arrived
end

local function problem(...)
  local done, message = pcall(encode, ...)
  assert.is_false(done)
  return message
end

describe("scalars", function()
  it("integers arrive at every width", function()
    for shift = 0, 63 do
      for _, offset in ipairs { -1, 0, 1 } do
        assert_travels((1 << shift) + offset)
        assert_travels(-(1 << shift) + offset)
      end
    end
    assert_travels(math.maxinteger)
    assert_travels(math.mininteger)
  end)

  it("floats arrive bit by bit and stay floats", function()
    for _, x in ipairs { 0.0, -0.0, 1.0, 3.0, 0.1, -1e308, 5e-324, 1 / 0, -1 / 0, 2 ^ 53, 2 ^ 63 } do
      assert_travels(x)
    end
    for _, payload in ipairs { 0x7FF8000000000000, 0x7FF8000000000001, -1, 0x7FFFFFFFFFFFFFFF,
      0x7FF4DEADBEEF0000 } do
      local nan = string.unpack("n", string.pack("j", payload))
      assert.equal(payload, (string.unpack("j", string.pack("n", travel(nan)))))
    end
  end)

  it("strings of any bytes arrive", function()
    for _, length in ipairs { 0, 1, 5, 62, 63, 64, 65, 255, 256, 70000 } do
      assert_travels(("\0\255\n"):rep(length):sub(1, length))
    end
    for byte = 0, 255 do assert_travels(string.char(byte)) end
  end)

  it("a string of 64 MiB arrives", function()
    local text = ("0123456789abcde\0"):rep(4 << 20)
    local arrived = travel { text }
    assert.equal(64 << 20, #arrived[1])
    assert.is_true(arrived[1] == text)
  end)

  it("several values arrive, nils among them", function()
    assert.same({ n = 5, nil, 1, nil, "x" }, table.pack(travel(nil, 1, nil, "x", nil)))
    assert.same({ n = 0 }, table.pack(travel()))
    assert.same({ true, false }, { travel(true, false) })
  end)

  it("lk.null arrives as itself", function()
    assert.equal(lk.null, travel(lk.null))
    local t = travel { lk.null, x = lk.null, [lk.null] = 1 }
    assert.equal(lk.null, t[1])
    assert.equal(lk.null, t.x)
    assert.equal(1, t[lk.null])
  end)

  it("take few bytes", function()
    assert.equal(1, #encode(5))
    assert.equal(5, #encode(-5))
    assert.equal(9, #encode(0.5))
    assert.equal(6, #encode "hello")
    assert.equal(9 + 2, #encode { 1, 2 })
  end)
end)

describe("tables", function()
  it("of all keys arrive", function()
    assert_travels {}
    assert_travels { 1, 2, 3 }
    assert_travels { a = 1, ["b c"] = 2, [""] = 3, [("x"):rep(1000)] = 4 }
    assert_travels { [1.5] = 1, [-1] = 2, [0] = 3, [1 / 0] = 4, [2 ^ 63] = 5, [math.mininteger] = 6 }
    assert_travels { [true] = 1, [false] = 0 }
    assert_travels { 1, 2, n = 2, x = { y = { z = {} } }, { {}, { {} } } }
  end)

  it("with holes keep their border", function()
    for _, t in ipairs { { 1, nil, 3 }, { nil, nil, 3 }, { n = 3, nil, 2 }, { 1, nil, nil, nil, 5 },
      { [5] = "x" }, { [1000000] = 1 }, { 1, [math.maxinteger] = 2 } } do
      assert.equal(#t, #assert_travels(t))
    end
  end)

  it("with far apart elements stay small", function()
    local t = {}
    for i = 0, 40 do t[1 << i] = i end
    assert.is_true(#encode(t) < 1000)
    assert_travels(t)
  end)

  it("filled in any order arrive", function()
    local t, u = {}, {}
    for i = 1000, 1, -1 do t[i] = i end
    for i = 1, 1000 do u[i] = -i end
    for i = 2, 999 do if i % 3 ~= 0 then u[i] = nil end end
    assert_travels(t)
    assert_travels(u)
  end)

  it("keep what they share", function()
    local leaf = { "leaf" }
    local t = assert_travels { leaf, { leaf }, x = leaf, y = { z = leaf } }
    assert.equal(t[1], t[2][1])
    assert.equal(t[1], t.y.z)
    local one, other = travel(leaf, { leaf })
    assert.equal(one, other[1])
    one, other = travel(leaf, leaf)
    assert.equal(one, other)
  end)

  it("that are equal but not the same stay apart", function()
    local t = assert_travels { {}, {} }
    assert.are_not.equal(t[1], t[2])
  end)

  it("with cycles arrive", function()
    local t = { name = "t" }
    t.self = t
    t.list = { t, { up = t } }
    t.list.list = t.list
    assert_travels(t)
    local ring = {}
    local first = ring
    for i = 1, 1000 do
      ring.next = { i = i }
      ring = ring.next
    end
    ring.next = first
    assert_travels(first)
  end)

  it("many tables keep what they share", function()
    local t = {}
    for i = 1, 5000 do t[i] = { i } end
    for i = 1, 5000 do t[i].next = t[i * 7919 % 5000 + 1] end
    assert_travels(t)
  end)

  local function nested(depth)
    local top = {}
    local t = top
    for i = 2, depth do
      if i % 2 == 0 then
        t[1] = {}
        t = t[1]
      else
        t.x = {}
        t = t.x
      end
    end
    t.last = true
    return top
  end

  it("nested 200,000 deep arrive", function()
    local arrived, depth = travel(nested(200000)), 1
    while not arrived.last do
      arrived = arrived[1] or arrived.x
      depth = depth + 1
    end
    assert.equal(200000, depth)
  end)

  it("nested deeper are refused on both sides", function()
    local message = problem(nested(200001))
    assert.truthy(message:find("nested too deep to be sent; expected at most 200,000 tables", 1, true))
    assert.is_true(#message < 1000)
    -- The same for bytes that say so: a million tables, each the only element of the one before.
    local done
    done, message = pcall(decode, ("\200\1\0\0\0\0\0\0\0"):rep(1000000) .. "\0")
    assert.is_false(done)
    assert.truthy(message:find("nested too deep", 1, true))
  end)

  it("of every form arrive, at random", function()
    local stream = lk.random.stream(2024)
    local function key()
      local kind = stream:integer(1, 5)
      if kind == 1 then return stream:integer(-3, 12) end
      if kind == 2 then return stream:normal() end
      if kind == 3 then return stream:integer(0, 1) == 1 end
      return ("k"):rep(stream:integer(0, 70)) .. stream:integer(1, 5)
    end
    local function value(pool, depth)
      local kind = stream:integer(1, depth > 5 and 6 or 9)
      if kind == 1 then return stream:integer(0) end
      if kind == 2 then return stream:normal() end
      if kind == 3 then return ("v"):rep(stream:integer(0, 200)) end
      if kind == 4 then return stream:integer(0, 1) == 1 end
      if kind == 5 then return lk.null end
      if kind == 6 and #pool > 0 then return pool[stream:integer(1, #pool)] end
      local t = {}
      pool[#pool + 1] = t
      for i = 1, stream:integer(0, 6) do t[i] = value(pool, depth + 1) end
      for _ = 1, stream:integer(0, 4) do t[key()] = value(pool, depth + 1) end
      return t
    end
    for _ = 1, 2000 do assert_travels { value({}, 0), value({}, 0) } end
  end)
end)

describe("tensors", function()
  it("of every dtype arrive", function()
    for _, dtype in ipairs { "f64", "f32", "i64", "i32", "u8", "bool" } do
      local t = tensor.zeros({ 2, 3 }, dtype)
      t:set(2, 1, dtype == "bool" and true or 7)
      local arrived = travel(t)
      assert.equal(dtype, arrived.dtype)
      assert.same(t:totable(), arrived:totable())
    end
  end)

  it("of every shape arrive", function()
    for _, size in ipairs { {}, { 0 }, { 3, 0, 2 }, { 1 }, { 7 }, { 2, 3, 4 }, { 1, 1, 1, 1, 2 } } do
      local t = tensor.randn(size)
      local arrived = travel(t)
      assert.same(t:size(), arrived:size())
      assert.same(t:totable(), arrived:totable())
    end
  end)

  it("views arrive as their elements alone", function()
    local t = tensor.randn { 40, 50 }
    for _, view in ipairs { t:t(), t:select(2, 7), t:narrow(1, 3, 5), t:t():narrow(1, 2, 3):select(2, 4) } do
      local arrived = travel(view)
      assert.same(view:size(), arrived:size())
      assert.same(view:totable(), arrived:totable())
    end
    assert.is_true(#encode(t:select(2, 7)) < 40 * 8 + 30)
  end)

  it("are snapshots", function()
    local t = tensor.ones { 3 }
    local bytes = encode(t)
    t:set(1, 5)
    local one, other = decode(bytes), decode(bytes)
    one:set(2, 6)
    assert.same({ 1, 1, 1 }, other:totable())
  end)

  it("keep being one object", function()
    local t = tensor.ones { 3 }
    local arrived = travel { t, t, { t }, t:narrow(1, 1, 3) }
    assert.is_true(rawequal(arrived[1], arrived[2]))
    assert.is_true(rawequal(arrived[1], arrived[3][1]))
    arrived[1]:set(1, 9)
    assert.equal(1, arrived[4]:get(1))
  end)

  it("larger than 64 KiB arrive", function()
    local t = tensor.arange(1, 20000)
    assert.same(t:totable(), travel({ t })[1]:totable())
  end)
end)

describe("sparse matrices", function()
  local function matrix()
    return lk.sparse.csr(tensor.from({ 1, 1, 2 }, "i64"), tensor.from({ 1, 3, 2 }, "i32"),
      tensor.from { 1.5, 2.5, 3.5 }, { 2, 3 })
  end

  it("arrive", function()
    local m = matrix()
    local arrived = travel(m)
    assert.same(m:size(), arrived:size())
    assert.equal(encode(m), encode(arrived))
  end)

  it("keep being one object", function()
    local m = matrix()
    local arrived = travel { m, { m } }
    assert.is_true(rawequal(arrived[1], arrived[2][1]))
  end)
end)

describe("what can't be sent is named", function()
  it("with its path", function()
    assert.equal("value: a function cannot be sent", problem(print))
    assert.equal("value.callback: a function cannot be sent", problem { callback = print })
    assert.equal("value#2[3].x: a function cannot be sent", problem(1, { 1, 2, { x = print } }))
    assert.equal('value["a b"]["\\"\\010"]: a function cannot be sent', problem { ["a b"] = { ['"\n'] = print } })
    assert.equal("value[1.5][true][-3]: a function cannot be sent", problem { [1.5] = { [true] = { [-3] = print } } })
    assert.equal("value[null]: a function cannot be sent", problem { [lk.null] = print })
  end)

  it("by its type", function()
    assert.equal("value: a coroutine cannot be sent", problem(coroutine.create(print)))
    assert.equal("value: a userdata (FILE*) cannot be sent", problem(io.stdout))
    assert.equal("value.t: a table with a metatable cannot be sent", problem { t = setmetatable({}, {}) })
    assert.equal("value: a random stream cannot be sent", problem(lk.random.stream(1)))
  end)

  it("as a key", function()
    assert.equal("value.x: a table key that is a table cannot be sent", problem { x = { [{}] = 1 } })
    assert.equal("value: a table key that is a function cannot be sent", problem { [print] = 1 })
    assert.equal("value: a table key that is a tensor cannot be sent", problem { [tensor.ones { 1 }] = 1 })
    assert.equal("value: a table key that is a userdata (FILE*) cannot be sent", problem { [io.stdout] = 1 })
  end)

  it("at any depth, in a message that fits a screen", function()
    local top = {}
    local t = top
    for _ = 1, 20000 do
      t.child = {}
      t = t.child
    end
    t.f = print
    local message = problem(top)
    assert.is_true(#message < 1000)
    assert.truthy(message:find("^value%.child%.child"))
    assert.truthy(message:find(" ... .child.f: a function cannot be sent", 1, true))
    local long = problem { [("k"):rep(100000)] = print }
    assert.is_true(#long < 200)
  end)

  it("in every state of the work memory", function()
    for count = 1, 40 do
      local t = {}
      for i = 1, count do t[i] = {} end
      t.bad = { print }
      assert.equal("value.bad[1]: a function cannot be sent", problem(t))
    end
  end)
end)

describe("bytes that are not encoding are refused", function()
  local shared = { 1, 2.5, "text", ("long"):rep(30), { true, x = {} }, lk.null }
  shared.again = shared[5]
  local whole = encode(shared, tensor.ones { 2, 2 }, -7)

  it("when they end early", function()
    for length = 1, #whole - 1 do
      local results = table.pack(pcall(decode, whole:sub(1, length)))
      if results[1] then
        assert.is_true(results.n - 1 < 3) -- cut off between two values, so there are fewer of them
      else
        assert.truthy(results[2]:find("^not an encoded value: "))
      end
    end
  end)

  it("or are changed anywhere, without harm", function()
    for at = 1, #whole do
      for _, byte in ipairs { 0, 0x7F, 0x80, 0xBF, 0xC0, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xFF } do
        pcall(decode, whole:sub(1, at - 1) .. string.char(byte) .. whole:sub(at + 1))
      end
    end
  end)

  local function refused(bytes, text)
    local done, message = pcall(decode, bytes)
    assert.is_false(done)
    assert.truthy(message:find(text, 1, true), message)
  end

  it("with what is wrong", function()
    refused("\255", "a value in it is of no known kind (at byte 1 of 1)")
    refused("\206\0\0\0\0\0\0\0\0", "refers to a value that is not there")
    refused("\200\0\0\0\0\1\0\0\0\192\1", "a key in it is of a kind that is not a key")
    refused("\200\0\0\0\0\1\0\0\0\198" .. string.pack("n", 0 / 0) .. "\1", "a key in it is of a kind that is not a key")
    refused("\202\9\0\0", "no such dtype")
    refused("\202\0\17\0", "no such dtype")
    refused("\202\0\1\0" .. string.pack("j", -1), "no possible size")
    refused("\202\0\2\0" .. string.pack("jj", 1 << 40, 1 << 40), "no possible size")
    refused("\202\0\2\0" .. string.pack("jjj", 0, 1 << 62, 1 << 62), "no possible size")
    refused("\202\0\1\0" .. string.pack("j", 1 << 30), "ends in the middle of a tensor")
    refused("\202\0\1\1" .. string.pack("jj", 1, 1), "lies elsewhere")
    refused("\202\5\1\0" .. string.pack("j", 1) .. "\2", "neither true nor false")
    refused("\204" .. string.pack("jj", 1, 1) .. "\1", "a part that is not a tensor")
    refused("\204" .. string.pack("jj", 1, 1) .. encode(tensor.ones { 1 }):rep(3), "the pointers have the shape")
  end)

  it("that promise more than they hold, without allocating it", function()
    refused("\200\255\255\255\127\0\0\0\0", "ends in the middle of a table")
    refused("\199\255\255\255\255\255\255\255\127x", "ends in the middle of a value")
    -- Each table claims all the bytes that follow for itself.
    local deep = {}
    for i = 1, 1000 do deep[i] = "\200" .. string.pack("I4I4", 9 * (1000 - i), 0) end
    collectgarbage()
    local before = collectgarbage "count"
    refused(table.concat(deep), "ends in the middle of a table")
    assert.is_true(collectgarbage "count" - before < 1000)
  end)
end)

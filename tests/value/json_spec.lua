-- runs under: thread, valgrind
local lk = require "lkrun"
local json = lk.json

local function refused(text, f, ...)
  local done, message = pcall(f, ...)
  assert.is_false(done)
  assert.equal(text, message)
end

local function nested(depth)
  local t = {}
  for _ = 2, depth do t = { t } end
  return t
end

describe("numbers", function()
  it("integers stay integers of 64 bits", function()
    for _, n in ipairs { 0, 1, -1, 1 << 53, (1 << 53) + 1, math.maxinteger, math.mininteger } do
      assert.equal(tostring(n), json.encode(n))
      assert.equal("integer", math.type(json.decode(json.encode(n))))
      assert.equal(n, json.decode(json.encode(n)))
    end
  end)

  it("integers beyond 64 bits are refused", function()
    refused("lkrun: lk.json.decode: line 2, column 19: too big integer near '9223372036854775808'",
      json.decode, "[\n9223372036854775808]")
    assert.has_error(function() json.decode "-9223372036854775809" end)
  end)

  it("floats come back equal, as floats, in few digits", function()
    local stream = lk.random.stream(1)
    for _ = 1, 5000 do
      local x = string.unpack("n", string.pack("j", stream:integer(0)))
      if x == x and x ~= 1 / 0 and x ~= -1 / 0 then
        local y = json.decode(json.encode(x))
        assert.equal(string.pack("n", x), string.pack("n", y))
        assert.equal("float", math.type(y))
      end
    end
    for text, x in pairs { ["0.1"] = 0.1, ["1.0"] = 1.0, ["-0.0"] = -0.0, ["1e+300"] = 1e300,
      ["0.30000000000000004"] = 0.1 + 0.2, ["123456789.25"] = 123456789.25, ["1e+16"] = 1e16 } do
      assert.equal(text, json.encode(x))
    end
    assert.equal(-1 / 0, 1 / json.decode "-0.0")
    assert.equal("float", math.type(json.decode "1E2"))
  end)

  it("floats that JSON has not are refused", function()
    refused("lkrun: lk.json.encode: value.x[2]: NaN has no JSON", json.encode, { x = { 1, 0 / 0 } })
    refused("lkrun: lk.json.encode: value: an infinity has no JSON", json.encode, -1 / 0)
    assert.has_error(function() json.decode "1e999" end)
  end)
end)

describe("strings", function()
  it("arrive with every character", function()
    for code = 0, 0x2FF do
      local text = utf8.char(code)
      assert.equal(text, json.decode(json.encode(text)))
    end
    for _, code in ipairs { 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF } do
      local text = "a" .. utf8.char(code) .. "b"
      assert.equal(text, json.decode(json.encode(text)))
    end
    assert.equal([["\"\\\b\f\n\r\t\u0001\u0000/"]], json.encode "\"\\\b\f\n\r\t\1\0/")
  end)

  it("that are not UTF-8 are refused", function()
    for _, text in ipairs { "\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
      "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xE2\x28\xA1" } do
      assert.has_error(function() json.encode("a" .. text) end)
      assert.has_error(function() json.decode('"a' .. text .. '"') end)
    end
    refused("lkrun: lk.json.encode: value.name[2]: a string that is not UTF-8 at byte 3 (0xFF)",
      json.encode, { name = { "ok", "ab\xFF" } })
    refused("lkrun: lk.json.encode: value.t: a key that is not UTF-8 at byte 1 (0xFF)",
      json.encode, { t = { ["\xFF"] = 1 } })
  end)
end)

describe("tables", function()
  it("of 1 to n are arrays, of strings objects", function()
    assert.equal('[1,[2,3],{"a":{"b":true}}]', json.encode { 1, { 2, 3 }, { a = { b = true } } })
    assert.equal("[]", json.encode {})
    assert.equal('{"":1,"1":2}', json.encode { [""] = 1, ["1"] = 2 })
    local backwards = {}
    for i = 5, 1, -1 do backwards[i] = i end
    assert.equal("[1,2,3,4,5]", json.encode(backwards))
  end)

  it("that are empty are objects where marked", function()
    assert.equal("{}", json.encode(json.object()))
    assert.equal('{"a":{},"b":[]}', json.encode { a = json.object {}, b = {} })
    assert.equal('{"x":1}', json.encode(json.object(json.object { x = 1 })))
    refused("lkrun: lk.json.encode: value: the key [1] is neither a string nor part of a sequence without holes",
      json.encode, json.object { 1 })
    refused("lkrun: lk.json.object: a string is given; expected a table", json.object, "x")
    refused("lkrun: lk.json.object: the table has a metatable; JSON has none", json.object, setmetatable({}, {}))
  end)

  it("between the two are refused", function()
    refused("lkrun: lk.json.encode: value.x: a sequence that has the key .n too; "
      .. "JSON has arrays and objects, nothing between", json.encode, { x = { 1, 2, n = 2 } })
    refused("lkrun: lk.json.encode: value: a sequence with a hole at [2]; lk.null can fill it",
      json.encode, { 1, nil, 3 })
    refused("lkrun: lk.json.encode: value: the key [1.5] is neither a string nor part of a sequence without holes",
      json.encode, { [1.5] = 1 })
    assert.has_error(function() json.encode { [0] = 1 } end)
    assert.has_error(function() json.encode { [true] = 1 } end)
    assert.has_error(function() json.encode { 1, 2, [7] = 1 } end)
  end)

  it("have keys in order, unless told otherwise", function()
    local t = {}
    for i = 1, 50 do t["key" .. i * 37 % 50] = i end
    t["key"], t["Z"], t["é"] = 1, 2, 3
    local keys = {}
    for key in json.encode(t):gmatch '"([^"]*)":' do keys[#keys + 1] = key end
    local expected = {}
    for key in pairs(t) do expected[#expected + 1] = key end
    table.sort(expected)
    assert.same(expected, keys)
    assert.same(t, json.decode(json.encode(t, { sort_keys = false })))
  end)

  it("with an indent have a line for each element", function()
    assert.equal('[\n  1,\n  {\n    "a": [],\n    "b": 2\n  }\n]',
      json.encode({ 1, { a = {}, b = 2 } }, { indent = 2 }))
    assert.equal("[1]", json.encode({ 1 }, { indent = 0 }))
  end)

  it("with a metatable are refused", function()
    refused("lkrun: lk.json.encode: value[1]: a table with a metatable has no JSON",
      json.encode, { setmetatable({}, {}) })
  end)

  it("with a cycle are refused with where it closes", function()
    local t = { a = { b = {} } }
    t.a.b.c = t.a
    refused("lkrun: lk.json.encode: value.a.b.c: leads back to value.a; JSON has no cycles", json.encode, t)
    local loop = {}
    loop[1] = loop
    refused("lkrun: lk.json.encode: value[1]: leads back to value; JSON has no cycles", json.encode, loop)
  end)

  it("that are shared are written each time", function()
    local leaf = { 1 }
    assert.equal("[[1],[1]]", json.encode { leaf, leaf })
  end)

  it("nest as deep as they can be read, and no deeper", function()
    assert.equal(("["):rep(2047) .. ("]"):rep(2047), json.encode(nested(2047)))
    assert.equal(json.encode(nested(2047)), json.encode(json.decode(json.encode(nested(2047)))))
    local done, message = pcall(json.encode, nested(2048))
    assert.is_false(done)
    assert.truthy(message:find("nested more than 2047 tables deep", 1, true))
    assert.has_error(function() json.decode(("["):rep(100000)) end)
  end)
end)

describe("other values", function()
  it("null is lk.null both ways", function()
    assert.equal("[null]", json.encode { lk.null })
    assert.equal(lk.null, json.decode "null")
    assert.equal(lk.null, json.null)
    refused("lkrun: lk.json.encode: value: nil has no JSON; lk.null has", json.encode, nil)
  end)

  it("tensors are nested arrays", function()
    local t = lk.tensor.from { { 1, 2, 0.1 }, { 4, 5, -0.0 } }
    assert.equal("[[1.0,2.0,0.1],[4.0,5.0,-0.0]]", json.encode(t))
    assert.equal("[[1.0,4.0],[2.0,5.0],[0.1,-0.0]]", json.encode(t:t()))
    assert.equal('{\n "t": [\n  [1.0,2.0,0.1],\n  [4.0,5.0,-0.0]\n ]\n}', json.encode({ t = t }, { indent = 1 }))
    assert.equal("[0.1,3.0]", json.encode(lk.tensor.from({ 0.1, 3 }, "f32")))
    assert.equal("[7,-7]", json.encode(lk.tensor.from({ 7, -7 }, "i32")))
    assert.equal("[true,false]", json.encode(lk.tensor.from({ true, false }, "bool")))
    assert.equal("[]", json.encode(lk.tensor.zeros { 0 }))
    assert.equal("[[],[]]", json.encode(lk.tensor.zeros { 2, 0 }))
    assert.equal("0.0", json.encode(lk.tensor.zeros {}))
    t:set(2, 3, 1 / 0)
    refused("lkrun: lk.json.encode: value.t[2][3]: an infinity has no JSON", json.encode, { t = t })
  end)

  it("what has no JSON is named", function()
    refused("lkrun: lk.json.encode: value.f: a function has no JSON", json.encode, { f = print })
    refused("lkrun: lk.json.encode: value: a userdata (FILE*) has no JSON", json.encode, io.stdout)
    refused("lkrun: lk.json.encode: value: a coroutine has no JSON", json.encode, coroutine.create(print))
    local one = lk.tensor.from({ 1 }, "i64")
    local matrix = lk.sparse.csr(one, one, lk.tensor.ones { 1 }, { 1, 1 })
    refused("lkrun: lk.json.encode: value[1]: a sparse matrix has no JSON", json.encode, { matrix })
  end)
end)

describe("options", function()
  it("are checked", function()
    refused("lkrun: lk.json.encode: indent is -1; expected an integer from 0 to 16", json.encode, 1, { indent = -1 })
    refused("lkrun: lk.json.encode: indent is 'two'; expected an integer from 0 to 16",
      json.encode, 1, { indent = "two" })
    refused("lkrun: lk.json.encode: sort_keys is a number; expected a boolean", json.encode, 1, { sort_keys = 1 })
    refused("lkrun: lk.json.encode: unknown option 'pretty'; there are indent, sort_keys", json.encode, 1,
      { pretty = true })
    refused("lkrun: lk.json.encode: the options are a number; expected a table", json.encode, 1, 2)
  end)
end)

describe("decoding", function()
  it("says where the text goes wrong", function()
    refused("lkrun: lk.json.decode: line 3, column 5: invalid token near 'nul'",
      json.decode, '{"a":\n 1, "b":\n  nul }')
    refused("lkrun: lk.json.decode: line 1, column 4: ']' expected near end of file", json.decode, "[1,2")
    refused("lkrun: lk.json.decode: line 1, column 5: end of file expected near 'x'", json.decode, "[1] x")
    assert.has_error(function() json.decode "" end)
    assert.has_error(function() json.decode "[1,]" end)
    assert.has_error(function() json.decode "{'a':1}" end)
    assert.has_error(function() json.decode '"\\ud800"' end)
    refused("lkrun: lk.json.decode: the text is a table; expected a string", json.decode, {})
  end)

  it("refuses a key that is there twice", function()
    refused([[lkrun: lk.json.decode: line 1, column 16: duplicate object key near '"a"']],
      json.decode, '{"a":1,"b":2,"a":3}')
  end)

  it("gives back what was encoded", function()
    local value = { name = "x", list = { 1, 2.5, lk.null, { deep = { true, false } } }, empty = {} }
    assert.same(value, json.decode(json.encode(value)))
    assert.same(value, json.decode(json.encode(value, { indent = 3 })))
  end)
end)

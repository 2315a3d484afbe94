-- runs under: thread
local lk = require "lkrun"
local show = lk.show

describe("show writes a tensor", function()
  it("with dtype and shape, its columns aligned at the point", function()
    local t = lk.tensor.from { { 1, -2.5 }, { 100.25, 0 } }
    assert.equal("tensor f64 [2, 2]\n[[  1.00,  -2.50],\n [100.25,   0.00]]", show(t))
    assert.equal("tensor i32 [3] [ 7, 10, -1]", show(lk.tensor.from({ 7, 10, -1 }, "i32")))
    assert.equal("tensor bool [2] [ true, false]", show(lk.tensor.from({ true, false }, "bool")))
  end)

  it("without the middle, where it is long", function()
    assert.equal("tensor f64 [2000] [   1.0,    2.0,    3.0, ..., 1998.0, 1999.0, 2000.0]",
      show(lk.tensor.arange(2000)))
    local text = show(lk.tensor.zeros { 100, 100 })
    local row = "[0.0, 0.0, 0.0, ..., 0.0, 0.0, 0.0]"
    assert.equal("tensor f64 [100, 100]\n[" .. (row .. ",\n "):rep(3) .. "...,\n "
      .. (row .. ",\n "):rep(2) .. row .. "]", text)
  end)

  it("of three dimensions as matrices", function()
    assert.equal("tensor f64 [2, 1, 2]\n[[[1.0, 1.0]],\n\n [[1.0, 1.0]]]", show(lk.tensor.ones { 2, 1, 2 }))
  end)

  it("of no dimension, and of no element", function()
    assert.equal("tensor f64 [] 4.5", show(lk.tensor.from(4.5)))
    assert.equal("tensor f64 [0, 3] []", show(lk.tensor.zeros { 0, 3 }))
  end)

  it("with numbers of all sizes, infinite ones and none", function()
    assert.equal("tensor f64 [3] [1.0e+10, 1.5e-10, 0.0e+00]", show(lk.tensor.from { 1e10, 1.5e-10, 0 }))
    assert.equal("tensor f64 [4] [ nan,  inf, -inf,  1.0]", show(lk.tensor.from { 0 / 0, 1 / 0, -1 / 0, 1 }))
    assert.equal("tensor f64 [2] [0.0, 0.0]", show(lk.tensor.zeros { 2 }))
  end)

  it("as tostring gives it", function()
    local small = lk.tensor.from { { 1, -2.5 }, { 100.25, 0 } }
    for _, t in ipairs { small, lk.tensor.zeros { 40, 50 }, lk.tensor.from(5) } do
      assert.equal(show(t), tostring(t))
    end
  end)

  it("in lines as long as there is room", function()
    local text = show(lk.tensor.ones { 100 }, { width = 40 })
    for line in text:gmatch "[^\n]+" do assert.is_true(#line <= 40, line) end
    local _, count = text:gsub("1%.0", "")
    assert.equal(100, count)
  end)
end)

describe("show writes a table", function()
  it("as a constructor, its keys in order", function()
    assert.equal('{"x", [10] = true, a = 1, ["b c"] = {d = 2.5}, ["end"] = nil}',
      (show({ "x", [10] = true, a = 1, ["b c"] = { d = 2.5 }, ["end"] = "nil" }):gsub('"nil"', "nil")))
    assert.equal("{}", show {})
  end)

  it("over several lines where it is long", function()
    local text = show({ first = ("a"):rep(30), second = ("b"):rep(30), third = { ("c"):rep(30), ("d"):rep(50) } })
    assert.matches("^{\n  first = \"a+\",\n  second = \"b+\",\n  third = {\n    \"c+\",\n    \"d+\"\n  }\n}$", text)
  end)

  it("of rectangular numbers in columns", function()
    assert.equal("{{ 1, 20},\n {10,  2}}", show { { 1, 20 }, { 10, 2 } })
    assert.equal("{1, 2, 3}", show { 1, 2, 3 })
    local many = {}
    for i = 1, 5000 do many[i] = i end
    assert.equal("{   1,    2,    3, ..., 4998, 4999, 5000}", show(many))
  end)

  it("of records in columns", function()
    assert.equal('{\n  {item = "a",    user =   1},\n  {item = "long", user = 100}\n}',
      show { { user = 1, item = "a" }, { user = 100, item = "long" } })
  end)

  it("without the middle, where it has many entries", function()
    local words = {}
    for i = 1, 1000 do words[i] = "word " .. i end
    local text = show(words)
    assert.matches('^{\n  "word 1",\n  "word 2",\n  "word 3",\n  %.%.%. %(994 more%),\n  "word 998"', text)
  end)

  it("that is in itself, or deep", function()
    local t = { name = "t" }
    t.self = t
    assert.equal('{name = "t", self = {... itself}}', show(t))
    local deep = {}
    for _ = 1, 100 do deep = { deep } end
    assert.matches("%{%.%.%.%}", show(deep))
  end)

  it("with a tensor in it by its shape", function()
    assert.equal("{model = tensor f64 [10, 10]}", show { model = lk.tensor.zeros { 10, 10 } })
  end)

  it("calls nothing but __tostring", function()
    local trap = function() error "called" end
    local t = setmetatable({ 1 }, { __index = trap, __pairs = trap, __len = trap })
    assert.equal("{1}", show(t))
    assert.equal("itself", show(setmetatable({}, { __tostring = function() return "itself" end })))
    assert.equal("table whose __tostring raised an error", show(setmetatable({}, { __tostring = trap })))
  end)

  it("with the null of JSON by its name", function()
    assert.equal("{lk.null, x = lk.null}", show { lk.null, x = lk.null })
    assert.equal("lk.null", show(lk.null))
    assert.matches("^{file %(0x", show { io.stdout })
  end)

  it("with strings that stay on their line", function()
    assert.equal([[{"a\nb\"\\", "\x00\xff", "é"}]], show { 'a\nb"\\', "\0\255", "é" })
    assert.is_true(#show { ("x"):rep(10000) } < 300)
  end)
end)

describe("show", function()
  it("leaves a string as it is, and tells where a function is from", function()
    assert.equal('a "b"', show 'a "b"')
    assert.matches("^function: 0x%x+ %(tests/lua/show_spec.lua:%d+%)$", show(function() end))
    assert.equal("nil", show(nil))
    assert.equal("1.5", show(1.5))
  end)

  it("raises for an unknown option", function()
    assert.has_error(function() show(1, { widht = 40 }) end,
      "lkrun: lk.show: unknown option 'widht' (did you mean 'width'?); there are width")
  end)

  it("raises for a bad width", function()
    assert.has_error(function() show(1, { width = {} }) end,
      "lkrun: lk.show: width is a table; expected an integer of 20 or more")
    for shown, width in pairs { ["1"] = 1, ["40.5"] = 40.5, ["'x'"] = "x" } do
      local ok, err = pcall(show, 1, { width = width })
      assert.is_false(ok)
      assert.equal(("lkrun: lk.show: width is %s; expected an integer of 20 or more"):format(shown), err)
    end
  end)
end)

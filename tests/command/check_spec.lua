local program = require "tests.support.program"

describe("lkrun check", function()
  local path

  setup(function() path = os.tmpname() end)
  teardown(function() os.remove(path) end)

  -- What it says of this text, the name of the file left out, and the status.
  local function check(text)
    do
      local file <close> = assert(io.open(path, "wb"))
      file:write(text)
    end
    local result = program.shell("$LKRUN check " .. path)
    assert.equal("", result.out)
    local said = {}
    for line in result.err:gmatch "[^\n]+" do
      assert.equal(path, line:sub(1, #path))
      said[#said + 1] = line:sub(#path + 1)
    end
    return table.concat(said, "\n"), result.status
  end

  local function assert_clean(text)
    local said, status = check(text)
    assert.equal("", said)
    assert.equal(0, status)
  end

  local function assert_unknown(expected, text)
    local said, status = check(text)
    assert.equal(expected, (said:gsub(": unknown global '([^']*)'", " %1")))
    assert.equal(1, status)
  end

  it("names file, line and global", function()
    local said, status = check "local a = 1\n\nprint(a, foo)\n"
    assert.equal(":3: unknown global 'foo'", said)
    assert.equal(1, status)
  end)

  it("tells a syntax error with its line", function()
    local said, status = check "local a\nif a then"
    assert.truthy(said:find "^:2: 'end' expected", said)
    assert.equal(1, status)
  end)

  it("runs nothing", function() assert_clean "print 'ran' error 'ran' os.exit(9)" end)

  it("knows the standard library and what lkrun gives a program", function()
    assert_clean "print(string.format, table, math, utf8, coroutine, arg, _G, _VERSION, require, ...)"
  end)

  it("knows what the file defines", function()
    assert_clean "x = 1; a, b = 2, 3; function f() return x, a, b, f, g end; _G.g = 1"
    assert_unknown(":1 object", "function object.method() end")
  end)

  it("says what lk may be", function()
    assert.equal([[:1: unknown global 'lk'; local lk = require "lkrun" defines it]], (check "return lk.config()"))
  end)

  it("follows the scopes", function()
    assert_unknown(":1 v", "do local v end print(v)")
    assert_unknown(":1 v", "local v = v")
    assert_unknown(":2 i", "for i = 1, 3 do print(i) end\nprint(i)")
    assert_unknown(":1 k\n:1 list", "for k, v in k, list do print(k, v) end")
    assert_unknown(":1 f", "local f = function() return f() end")
    assert_clean "local function f() return f() end"
    assert_clean "repeat local done = true until done"
    assert_unknown(":1 done", "while done do local done end")
    assert_clean "local t = {} function t:m(a, ...) return self, a, ... end function t.n(b) return b end"
    assert_unknown(":1 self", "local t = {} function t.n() return self end")
    assert_unknown(":1 a", "if true then local a = 1 elseif a then end")
    assert_clean "local a <const>, b <close> = 1, nil return a, b"
  end)

  it("leaves out what has an environment of its own", function()
    assert_clean "local _ENV = { print = print } anything(other)"
    assert_clean "local function f(_ENV) return anything end return f"
    assert_unknown(":1 outside", "do local _ENV = {} end return outside")
  end)

  it("reads names and no other words", function()
    assert_clean "local t = { key = 1, ['a b'] = 2 } return t.field, t:method(), t.a.b 'text' [[text]]"
    assert_clean "goto done ::done:: -- comment names\n--[[ more\nnames ]] --[==[ ]] ]==]"
    assert_clean [=[local s = 'a \' b' .. "c \" d" .. "\z
      e" .. [==[ f ]] g ]==] return s, 0x1p-3, 1e+5, 0xEp1, 3 ..4, .5, 1//2, s ~= s, -s, ~1, #s, not s]=]
    assert_unknown(":3 late", "local s = [[\n\n]] .. late return s")
    assert_unknown(":2 late", "local s = 'a\\\nb' .. late return s")
  end)

  it("looks into every part of an expression", function()
    assert_unknown(":1 a\n:1 b\n:1 c\n:1 d\n:1 e\n:1 f\n:1 g\n:1 h\n:1 i\n:1 j\n:1 k",
      "local t = { a, [b] = c, x = d; e } return t[f], t.x(g, h), t:y { i }, (j), function() return k end")
  end)

  it("passes over a first line for the shell, and a byte order mark", function()
    assert_clean "#!/usr/bin/env lkrun\nprint(1)"
    assert_unknown(":2 foo", "\u{FEFF}#!/usr/bin/env lkrun\nprint(foo)")
  end)

  it("finds nothing in the modules of lkrun", function()
    local result = program.shell "$LKRUN check $(find lua tests/*.lua tests/support -name '*.lua')"
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end)

  it("tells a file that cannot be read and goes on with the next", function()
    assert.equal(1, select(2, check "print(foo)"))
    local result = program.shell("$LKRUN check /none.lua / " .. path)
    assert.equal(2, result.status)
    assert.truthy(result.err:find("/none.lua: No such file", 1, true))
    assert.truthy(result.err:find("/: Is a directory", 1, true))
    assert.truthy(result.err:find("unknown global 'foo'", 1, true))
  end)
end)

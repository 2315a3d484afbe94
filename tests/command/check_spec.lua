local blocks = require "tests.docs.blocks"
local program = require "tests.support.program"

describe("lkrun check", function()
  local path

  setup(function() path = os.tmpname() end)
  teardown(function() os.remove(path) end)

  -- What `lkrun check` says of this text, without the name of the file, and its status.
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

  it("finds nothing in the programs of lkrun", function()
    local folders = "lua tests/*.lua tests/support examples bench docs rules packaging"
    local result = program.shell(("$LKRUN check $(find %s -name '*.lua')"):format(folders))
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end)

  it("finds nothing in the manual but globals that the text around a block has", function()
    local text = {}
    for page in io.popen("ls README.md docs/*.md"):lines() do
      for _, block in ipairs(blocks.of(page)) do
        if block.kind == "lua" then
          local said = check(block.text)
          for line in said:gmatch "[^\n]+" do
            if not line:find "unknown global" then text[#text + 1] = page .. line end
          end
        end
      end
    end
    assert.equal("", table.concat(text, "\n"))
  end)

  it("tells a file that cannot be read and goes on with the next", function()
    assert.equal(1, select(2, check "print(foo)"))
    local result = program.shell("$LKRUN check /none.lua / " .. path)
    assert.equal(2, result.status)
    assert.truthy(result.err:find("/none.lua: No such file", 1, true))
    assert.truthy(result.err:find("/: Is a directory", 1, true))
    assert.truthy(result.err:find("unknown global 'foo'", 1, true))
  end)

  -- The text after a first line that makes lkrun known.
  local function with_lk(text) return 'local lk = require "lkrun"\n' .. text end

  -- Of each line the word that is unknown, and what may have been meant: "2: field 'invokr' 'invoker'".
  local function unknown_in(text)
    local list = {}
    for line in (check(with_lk(text))):gmatch "[^\n]+" do
      local number, kind, name, rest = line:match "^:(%d+): unknown (%a+) '([^']*)'(.*)$"
      list[#list + 1] = ("%s %s %s %s"):format(number, kind, name, rest:match "did you mean '([^']*)'" or "-")
    end
    return table.concat(list, "\n")
  end

  local function assert_finds(expected, text) assert.equal(expected, unknown_in(text)) end
  local function assert_silent(text) assert.equal("", unknown_in(text)) end

  describe("of lkrun", function()
    it("finds fields of its modules", function()
      local said, status = check(with_lk "lk.invokr(nil, print)")
      assert.equal(":2: unknown field 'invokr' of lk (did you mean 'invoker'?)", said)
      assert.equal(1, status)
      assert_finds("2 field zeroes zeros", "local t = lk.tensor.zeroes { 3 } return t")
      assert_finds("3 field zeroes zeros", "local tensor = lk.tensor\nreturn tensor.zeroes { 3 }")
      assert_finds("2 field decod decode", [[local json = require "lkrun.json" return json.decod "1"]])
      assert_finds("2 field creat create", "return lk.WorkChunks.creat(10)")
      assert_finds("2 field whatever -", "return lk.whatever.you.like")
      assert_finds("2 field encod encode", [[return require("lkrun").json.encod { lk.json.encode(1) }]])
    end)

    it("finds fields of lkrec's modules", function()
      assert_finds("3 field trian train", 'local als = require "lkrec.als.implicit"\nlocal m = als.trian(nil) return m')
    end)

    it("finds methods of what its functions return", function()
      local said = check(with_lk "local inv <close> = lk.invoker(nil, print)\ninv:mpa {}")
      assert.equal(":3: unknown method 'mpa' of lkrun.Invoker (did you mean 'map'?)", said)
      assert_finds("2 method sise size", "print(lk.tensor.zeros({ 3 }):sise())")
      assert_finds("3 method sise size", "local t = lk.tensor.zeros { 3 }\nprint(t:clone():t():sise())")
      assert_finds("3 method infoo info", "local log = lk.log.get 'x'\nlog:infoo 'y'")
      assert_finds("2 method gett get", "return lk.invoker(nil, print):submit(1):gett()")
      assert_finds("3 method updat update", "local p = lk.invoke_progress { total = 1 }\np:updat()")
      assert_finds("2 method rws rows", "return lk.sparse.csr({}, {}, {}, { 1, 1 }):rws()")
    end)

    it("finds options", function()
      assert_finds("3 option n_job n_jobs", "local inv = lk.invoker(nil, print, {\nn_job = 2 }) return inv")
      assert_finds("2 option njobs n_jobs", "return lk.map(nil, print, {}, { ordered = false, njobs = 2 })")
      assert_finds("2 option process processes", "lk.initialize { process = 2 }")
      assert_finds("2 option cpoy copy", "return lk.load('m.npz', { cpoy = true })")
      assert_finds("2 option compres compress", "lk.save('m.npz', {}, { compres = true })")
      assert_finds("2 option type types", "for _ in lk.rows.read('x.csv', { type = {} }) do end")
      assert_finds("2 option colums columns", "lk.rows.write('x.csv', {}, { colums = {} })")
      assert_finds("2 option widht width", "return lk.show(1, { widht = 40 })")
      assert_finds("2 option totl total", "return lk.invoke_progress { totl = 3 }")
      assert_finds("2 option ident indent", "return lk.json.encode({}, { ident = 2 })")
      assert_finds("2 option amng among", "return lk.linalg.mips(nil, nil, 1, { amng = {} })")
    end)

    it("finds options of lkrec's functions", function()
      assert_finds("2 option epoch epochs", [[return require("lkrec.als.implicit").train(nil, { epoch = 3 })]])
      assert_finds("2 option exlude exclude", [[return require("lkrec.batch").recommend(1, 2, { n = 3, exlude = 4 })]])
      assert_finds("2 option value values", [[return require("lkrec.data").matrix(1, { value = true })]])
      assert_finds("2 option outptu output", [[require("lkrec.steps").split { outptu = "x" }]])
      assert_finds("2 option any -", [[return require("lkrec.popularity").train(1, { any = 2 })]])
      assert_silent [[return require("lkrec.data").folds(1, 2, { by = "users", fraction = 0.1 })]]
    end)

    it("finds modules, and variables of the environment", function()
      assert_finds("2 module lkrec.als.implict lkrec.als.implicit", [[return require "lkrec.als.implict"]])
      assert_finds("2 module lkrun.tensr lkrun.tensor", [[return require("lkrun.tensr")]])
      assert_finds("2 variable LK_NUM_PROC LK_NUM_PROCS", [[return os.getenv "LK_NUM_PROC"]])
      assert_finds("3 variable LK_TRACES LK_TRACE", "local getenv = os.getenv\nreturn getenv('LK_TRACES')")
      assert_silent [[return os.getenv "LK_TRACE", os.getenv "LK_RATINGS_OF_MINE", os.getenv "HOME"]]
      assert_silent [[return require "lkrun.mine.plugin", require "lkrun.core.cpu", require "lkrun.snakemake"]]
    end)

    it("says nothing where a variable is assigned again", function()
      assert_silent "local t = lk.tensor.zeros { 3 } t = { sise = print } t:sise()"
      assert_silent "local t = lk.tensor.zeros { 3 } t:sise() t = nil"
      assert_silent "local tensor = lk.tensor lk = {} tensor.zeroes { 3 }"
      assert_silent "local function lk() end lk.invokr()"
      assert_silent "local function f(lk) return lk.invokr end return f"
      assert_silent "for _, lk in ipairs {} do print(lk.invokr) end"
      assert_silent "function require() return {} end return require('lkrun').invokr"
      assert_silent "local os = {} return os.getenv 'LK_NUM_PROC'"
      assert_silent "os = { getenv = print } return os.getenv 'LK_NUM_PROC'"
      assert_finds("2 method sise size", "local t = lk.tensor.zeros { 3 } t:sise() do local t t = 1 end")
    end)

    it("says nothing of a module that the program extends", function()
      assert_silent "lk.extra = print lk.extra()"
      assert_silent "print(lk.extra) lk.extra = 1"
      assert_silent "function lk.extra() end lk.extra()"
      assert_silent "function lk.tensor.zeroes() end return lk.tensor.zeroes()"
      assert_silent "lk[arg[1]] = 1 return lk.extra"
      assert_silent "rawset(lk, 'extra', 1) return lk.extra"
      assert_silent "local all = { lk } all[1].extra = 1 return lk.extra"
      assert_finds("2 field invokr invoker", "lk.extra = print return lk.invokr()")
    end)

    it("says nothing where the program asks whether a field is there", function()
      assert_silent "if lk.gpu then lk.gpu.start() end"
      assert_silent "local gpu = lk.gpu or {} return gpu"
      assert_silent "return not lk.gpu"
      assert_silent "return lk.gpu == nil"
    end)

    it("says nothing of what it cannot know", function()
      assert_silent "local options = { n_job = 2 } return lk.invoker(nil, print, options)"
      assert_silent "return lk.invoker(nil, print, { n_jobs = 2, worker = { thread = 1 }, [1] = 2, ['n_job'] = 3 })"
      assert_silent "local t = arg[1] and lk.tensor.zeros { 3 } or {} t:sise()"
      assert_silent "local a, t = lk.tensor.zeros { 3 }:topk(1) t:sise() return a"
      assert_silent "for _, t in ipairs { lk.tensor.zeros { 3 } } do t:sise() end"
      assert_silent "local object = lk.json.object { any = 1 } return object:method()"
      assert_silent "return lk.config():method(), lk.random(3), lk.random(), lk.WorkChunks(1, 1, 1):tasks()"
    end)

    it("knows every option that a function of lkrec takes", function()
      -- The message of an unknown option lists them; the annotations have to have the same.
      local interface = require "lkrun.command.check.interface"
      local places = {
        ["lkrec.als.explicit"] = { train = 2 }, ["lkrec.als.implicit"] = { train = 2 }, ["lkrec.bias"] = { train = 2 },
        ["lkrec.knn.item"] = { train = 2 }, ["lkrec.knn.user"] = { train = 2 },
        ["lkrec.batch"] = { recommend = 3, score = 4, predict = 4 }, ["lkrec.metrics"] = { evaluate = 3 },
        ["lkrec.data"] = { load = 2, generate = 1, split = 2, split_time = 2, folds = 3, matrix = 2 },
        ["lkrec.steps"] = { split = 1, train = 1, evaluate = 1, operation = 1 },
        lkrun = { invoker = 3, map = 4 },
      }
      for module, functions in pairs(places) do
        for name, position in pairs(functions) do
          local value = interface.field(interface.module(module), name)
          local known = {}
          for option in pairs(interface.options(value.entry, position)) do known[#known + 1] = option end
          table.sort(known)
          local arguments = module == "lkrun" and { nil, print, {} } or { {}, 2, {} }
          arguments[position] = { [""] = 1 }
          if name == "map" then arguments = { nil, print, {}, { [""] = 1 } } end
          local _, message = pcall(require(module)[name], table.unpack(arguments, 1, 4))
          assert.equal(table.concat(known, ", "), message:match "there are (.*)$", value.path)
        end
      end
    end)
  end)
end)

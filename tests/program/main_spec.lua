local program = require "tests.support.program"
local shell = program.shell

-- One line on standard error that says `what`, nothing else, and status 2.
local function assert_misuse(result, what)
  assert.equal(2, result.status)
  assert.equal("", result.out)
  assert.truthy(result.err:find(what, 1, true), result.err)
  assert.truthy(result.err:find "^lkrun: [^\n]+\n$", result.err)
end

describe("the command line", function()
  local folder

  setup(function() folder = program.capture "mktemp -d" end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  local function script(text)
    local path = folder .. "/script.lua"
    local file <close> = assert(io.open(path, "wb"))
    file:write(text)
    return path
  end

  it("runs a script with its arguments", function()
    local path = script "#!/usr/bin/env lkrun\nprint(arg[0], #arg, arg[1], ...)"
    local result = shell("$LKRUN " .. path .. " a 'b c' -i --help")
    assert.equal(path .. "\t4\ta\ta\tb c\t-i\t--help\n", result.out)
    assert.equal(0, result.status)
  end)

  it("runs a script whose name is an option's after --", function()
    local result = shell("cd " .. folder .. " && echo 'print(...)' > ./-e && $LKRUN -- -e x")
    assert.equal("x\n", result.out)
  end)

  it("runs a script that comes through a pipe", function()
    assert.equal("3\n", shell "$LKRUN <(echo 'print(1 + 2)')".out)
    assert.equal("7\n", shell("mkfifo " .. folder .. "/fifo; echo 'print(3 + 4)' >" .. folder .. "/fifo & " ..
      "$LKRUN " .. folder .. "/fifo").out)
  end)

  it("runs a chunk", function()
    assert.equal("1 b\n", shell [[$LKRUN -e 'io.write(1, " ", ..., "\n")' b]].out)
  end)

  it("runs the program on standard input, asked to or not", function()
    assert.equal("a\tb\n", shell "echo 'print(...)' | $LKRUN - a b".out)
    assert.equal("3\n", shell "echo 'print(1 + 2)' | $LKRUN".out)
  end)

  it("loads the modules inside it from any folder", function()
    assert.equal("true\n", shell "cd / && $LKRUN -e 'print(require \"lkrun\".VERSION ~= nil)'".out)
  end)

  it("keeps the module that is inside it, whatever lies in the folder", function()
    local result = shell("cd " .. folder .. [[ && echo 'error "the wrong one"' > lkrun.lua &&
      $LKRUN -e 'require "lkrun"']])
    assert.equal(0, result.status)
  end)

  it("tells its version and how to use it", function()
    assert.truthy(shell "$LKRUN --version".out:find "^lkrun %d+%.%d+%.%d+.* %(Lua 5%.4")
    local help = shell "$LKRUN --help"
    assert.truthy(help.out:find("lkrun -e CHUNK", 1, true))
    assert.equal(0, help.status)
  end)

  it("keeps the decimal point in any locale", function()
    assert.equal("0.5\n", shell "LC_ALL=de_DE.UTF-8 $LKRUN -e 'print(tonumber \"0.5\")'".out)
  end)

  it("calls wrong use wrong", function()
    assert_misuse(shell "$LKRUN --hlep", "--hlep: unknown option")
    assert_misuse(shell "$LKRUN -x", "-x: unknown option")
    assert_misuse(shell "$LKRUN -e", "expected a piece of Lua")
    assert_misuse(shell "$LKRUN check", "missing argument 'file'")
  end)

  it("says what may have been meant", function()
    assert_misuse(shell "$LKRUN --hlep", "--hlep: unknown option (did you mean '--help'?)")
    assert_misuse(shell "$LKRUN --verson", "(did you mean '--version'?)")
    local slips = { mpa = "map", megre = "merge", docter = "doctor", trce = "trace", chekc = "check" }
    for word, meant in pairs(slips) do
      assert_misuse(shell("cd / && $LKRUN " .. word .. " --tasks x"),
        ("%s: No such file or directory (did you mean 'lkrun %s'?)"):format(word, meant))
    end
    assert_misuse(shell "$LKRUN map --moddel x", "map: unknown option '--moddel' (did you mean '--model'?); lkrun map")
    assert_misuse(shell "$LKRUN doctor --jsn", "(did you mean '--json'?)")
    for _, words in ipairs { "job", "./mpa", "--quiet", ("m"):rep(100), "map --bogus" } do
      local result = shell("cd / && $LKRUN " .. words)
      assert.falsy(result.err:find "did you mean", words)
      assert_misuse(result, "lkrun ")
    end
  end)

  it("runs a script whose name is nearly a command", function()
    local result = shell(("cd %s && echo 'print(...)' > mpa && $LKRUN mpa 1"):format(folder))
    assert.equal("1\n", result.out, result.err)
  end)

  it("has help with examples for each command", function()
    for _, name in ipairs { "check", "doctor", "map", "merge", "trace" } do
      local result = shell("$LKRUN " .. name .. " --help")
      assert.equal(0, result.status, result.err)
      assert.truthy(result.out:find("Usage: lkrun " .. name, 1, true), name)
      assert.truthy(result.out:find("\nExamples:\n.*lkrun " .. name .. " "), name)
    end
  end)

  it("names the script that cannot be read", function()
    assert_misuse(shell("$LKRUN " .. folder .. "/none.lua"), folder .. "/none.lua: No such file or directory")
    assert_misuse(shell("$LKRUN " .. folder), folder .. ": is a directory")
    assert_misuse(shell("$LKRUN - <" .. folder), "Is a directory")
    assert_misuse(shell "$LKRUN - <&-", "standard input: is closed")
  end)

  it("names a script that it may not read", function()
    local path = script "print(1)"
    os.execute(("chmod 755 %s; chmod 000 %s; cp %s %s/lkrun"):format(folder, path, program.executable, folder))
    -- Root may read everything.
    local as_nobody = shell "id -u".out == "0\n" and "setpriv --reuid=65534 --regid=65534 --clear-groups " or ""
    assert_misuse(shell(as_nobody .. folder .. "/lkrun " .. path), "Permission denied")
  end)
end)

describe("a program that fails", function()
  it("tells where, with a traceback on standard error", function()
    local result = shell "$LKRUN -e 'local function f() error \"no\" end f()'"
    assert.equal(1, result.status)
    assert.equal("", result.out)
    assert.truthy(result.err:find "^lkrun: %(command line%):1: no\nstack traceback:\n", result.err)
    assert.truthy(result.err:find("local 'f'", 1, true))
  end)

  it("tells a syntax error", function()
    local result = shell "$LKRUN -e 'x ='"
    assert.equal(1, result.status)
    assert.equal("lkrun: (command line):1: unexpected symbol near <eof>\n", result.err)
  end)

  it("tells an error object by its __tostring and its own traceback", function()
    local result = shell [[$LKRUN -e '
      error(setmetatable({ traceback = "in the worker" }, { __tostring = function() return "an object" end }))']]
    assert.equal(1, result.status)
    assert.truthy(result.err:find "^lkrun: an object\nwhere it was raised: in the worker\nstack traceback:", result.err)
  end)

  it("begins the traceback of what a function of ours refuses where it was called", function()
    local result = shell "$LKRUN -e 'local lk = require \"lkrun\" lk.invoker(nil, 5)'"
    assert.truthy(result.err:find("^lkrun: lk.invoker: func is a number; [^\n]+\nstack traceback:\n"
      .. "\t%(command line%):1: in main chunk\n"), result.err)
  end)

  it("tells a table by its message or its fields, and any other error object by its type", function()
    assert.truthy(shell "$LKRUN -e 'error { code = 7, { 1, 2 } }'".err:find
      "^lkrun: error object {{1, 2}, code = 7}\nstack traceback:\n")
    assert.truthy(shell "$LKRUN -e 'error { message = \"no such user\", code = 7 }'".err:find
      "^lkrun: no such user\nstack traceback:\n")
    assert.truthy(shell "$LKRUN -e 'error()'".err:find("(error object is a nil value)", 1, true))
  end)

  it("tells which name of lkrun may have been meant", function()
    for chunk, told in pairs {
      ["lk.invokr(nil, print)"] = "(field 'invokr'); did you mean lk.invoker?",
      ["lk.tensor.zeross(3)"] = "(field 'zeross'); did you mean lk.tensor.zeros?",
      ["lk.tensr.zeros(3)"] = "(field 'tensr'); did you mean lk.tensor?",
      ["local inv = lk.invoker(nil, print, { n_jobs = 1 }) inv:colect {}"] =
        "(method 'colect'); did you mean inv:collect?",
      ["kun = lk lk = nil kun.invokr()"] = "(field 'invokr'); did you mean kun.invoker?",
      ["local function f() return lk.cloc() end f()"] = "(field 'cloc'); did you mean lk.clock?",
      ["local mine = {} mine.whatever()"] = "(field 'whatever')",
      ["local mine = {} mine.load()"] = "(field 'load')", -- no advice, although lk has a field of that name
      ["error(\"a nil value (field 'x')\", 0)"] = "lkrun: a nil value (field 'x')",
    } do
      local err = shell("$LKRUN -e 'lk = require \"lkrun\" " .. chunk:gsub("'", "'\\''") .. "'").err
      assert.equal(told, err:match "^[^\n]*":sub(-#told))
    end
  end)

  it("does not say lkrun twice", function()
    assert.truthy(shell "$LKRUN -e 'error(\"lkrun: here: this\", 0)'".err:find "^lkrun: here: this\n")
  end)

  it("says what it wrote before the error first", function()
    local result = shell "$LKRUN -e 'io.write \"before\\n\" error \"after\"' 2>&1"
    assert.truthy(result.out:find "^before\nlkrun: .*after")
  end)

  it("closes what it left open", function()
    local result = shell [[$LKRUN -e '
      local guard <close> = setmetatable({}, { __close = function() print "closed" end })
      collected = setmetatable({}, { __gc = function() print "collected" end })
      error "no"']]
    assert.equal("closed\ncollected\n", result.out)
  end)

  it("ends as os.exit says", function()
    assert.equal(7, shell "$LKRUN -e 'os.exit(7)'".status)
    assert.equal(1, shell "$LKRUN -e 'os.exit(false)'".status)
    assert.equal(0, shell "$LKRUN -e 'os.exit(true, true)'".status)
  end)
end)

describe("standard output", function()
  it("that is full makes a program fail", function()
    for _, code in ipairs { "print(1)", "io.write(1)", "print(1) os.exit(0)" } do
      local result = shell(("$LKRUN -e '%s' >/dev/full"):format(code))
      assert.equal(1, result.status)
      assert.truthy(result.err:find "^lkrun: standard output: [^\n]+\n$", result.err)
    end
  end)

  it("that was closed cannot be written, and nothing else is in its place", function()
    local result = shell [[$LKRUN -e '
      local file = io.tmpfile() print "lost" file:seek("set") io.stderr:write("[", file:read "a", "]")' >&-]]
    assert.equal(1, result.status)
    assert.truthy(result.err:find "^%[%]lkrun: standard output: ", result.err)
  end)

  it("that was closed is no matter to a program that does not write", function()
    assert.equal(0, shell "$LKRUN -e 'x = 1' >&- 2>&-".status)
  end)

  it("whose reader goes ends the program quietly", function()
    local result = shell "$LKRUN -e 'while true do print \"line\" end' | head -n 1; exit ${PIPESTATUS[0]}"
    assert.equal(141, result.status)
    assert.equal("line\n", result.out)
    assert.equal("", result.err)
  end)

  it("whose reader goes ends the program where SIGPIPE was ignored, too", function()
    local result = shell "trap '' PIPE; $LKRUN -e 'while true do print(1) end' | true; exit ${PIPESTATUS[0]}"
    assert.equal(141, result.status)
    assert.equal("", result.err)
  end)

  it("is not what a broken pipe elsewhere is about", function()
    local result = shell [[$LKRUN -e '
      local pipe = io.popen("exec <&-; echo ready >&2; read line", "w")
      local text = ("x"):rep(1 << 20)
      repeat local ok, message = pipe:write(text) until not ok
      print "goes on"']]
    assert.equal("goes on\n", result.out)
    assert.equal(0, result.status)
  end)
end)

describe("standard input", function()
  it("that was closed has ended", function()
    assert.equal("nil\n", shell "$LKRUN -e 'print(io.read())' <&-".out)
  end)
end)

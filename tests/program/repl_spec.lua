local program = require "tests.support.program"
local shell = program.shell

-- The output of the prompt for these lines, not on a terminal.
local function typed(lines)
  local result = shell("$LKRUN -i <<'END'\n" .. lines .. "\nEND")
  assert.equal(0, result.status)
  return result.out, result.err
end

describe("the prompt", function()
  it("prints the values of an expression", function()
    assert.equal("2\n", (typed "1 + 1"))
    assert.equal("1\tnil\tx\n", (typed "1, nil, 'x'"))
    assert.equal("", (typed "local x = 1"))
  end)

  it("goes on with what is not finished", function()
    assert.equal("1\n2\n", (typed "for i = 1, 2 do\n\nprint(i)\nend"))
    assert.equal("a\nb\n", (typed "[[a\nb]]"))
    assert.equal("3\n", (typed "1 +\n2"))
    assert.equal("6\n", (typed "(function()\nlocal x = 5\nreturn x + 1 end)()"))
  end)

  it("tells an error of syntax in one line", function()
    local _, err = typed "x = = 1"
    assert.equal("lkrun: stdin:1: unexpected symbol near '='\n", err)
  end)

  it("keeps globals, and has lk at hand", function()
    assert.equal("3\n", (typed "x = 1\nx + 2"))
    assert.equal("true\n", (typed "lk == require 'lkrun'"))
  end)

  it("tells an error and goes on", function()
    local out, err = typed "error 'no'\nx =\n1 2\nnil + 1\n'on'"
    assert.equal("on\n", out)
    assert.truthy(err:find("lkrun: stdin:1: no\nstack traceback:", 1, true))
    assert.truthy(err:find("near '2'", 1, true))
    assert.truthy(err:find("arithmetic on a nil value", 1, true))
  end)

  it("tells what was missing at the end", function()
    local out, err = typed "for i = 1, 2 do"
    assert.equal("", out)
    assert.truthy(err:find("'end' expected", 1, true))
  end)

  it("says how to leave to who tries as in other languages", function()
    for _, line in ipairs { "exit", "quit", "exit()", " quit ( ) ;", "exit(0)" } do
      local out, err = typed(line)
      assert.equal("to leave: Ctrl-D on an empty line, or os.exit()\n", out)
      assert.equal("", err)
    end
    assert.equal("mine\n1\n", (typed "exit = 'mine'\nexit\nfunction quit() return 1 end\nquit()"))
    assert.equal("", (typed "local x = exit"))
  end)

  it("ends with os.exit()", function()
    local result = shell "printf 'print(1)\\nos.exit(3)\\nprint(2)\\n' | $LKRUN -i"
    assert.equal("1\n", result.out)
    assert.equal(3, result.status)
  end)

  it("takes lines of any length", function()
    assert.equal("1000000\n", (typed("#'" .. ("x"):rep(1000000) .. "'")))
  end)

  it("comes after the script, even one that fails", function()
    local script = os.tmpname()
    shell("echo 'x = ...; error \"no\"' >" .. script)
    local result = shell("echo x | $LKRUN -i " .. script .. " given")
    assert.equal("given\n", result.out)
    assert.equal(0, result.status)
    os.remove(script)
    assert.equal(2, shell("$LKRUN -i " .. script .. " </dev/null").status)
  end)

  it("on a terminal drops the line, or what runs, at Ctrl-C", function()
    local result = shell [=[
      export XDG_STATE_HOME=$(mktemp -d)
      trap 'rm -rf $XDG_STATE_HOME' EXIT
      coproc script --quiet --return --command "exec $LKRUN" /dev/null
      child=$COPROC_PID
      expect() {
        local seen= character
        while [[ $seen != *"$1"* ]]; do
          IFS= read -r -N 1 -t 120 character <&${COPROC[0]} || { echo "no '$1' in '$seen'"; exit 1; }
          seen+=$character
        done
      }
      type() { printf '%b' "$1" >&${COPROC[1]}; }
      expect '> ';  type 'print(6 * 7\n'
      expect '>> '; type ')\n'
      expect 42; expect '> '
      type 'for broken in\x03';              expect '> '
      type 'for unfinished = 1, 2 do\n';     expect '>> '
      type '\x03';                           expect '> '
      type 'print("run" .. "ning") while true do end\n'; expect running
      type '\x03';                           expect interrupted; expect '> '
      type 'print("map" .. "ping") for _ in lk.map(1, function() while true do end end, {1, 2}, {n_jobs = 2}) do end\n'
      expect mapping
      type '\x03';                           expect interrupted; expect '> '
      type 'print("still " .. "here")\n';    expect 'still here'; expect '> '
      type '\x04'
      wait $child]=]
    assert.equal("", result.out)
    assert.equal(0, result.status)
  end)
end)

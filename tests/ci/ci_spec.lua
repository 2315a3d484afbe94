-- What .ci/run and tests/loaded say of suites that fail always, once, or never. The make that they start is a script.
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

-- A suite of three files. The first and the second fail in the runs that $FAILS and $FLAKY (patterns of `case`) name.
local MAKE <const> = [[
#!/bin/sh
runs=$(($(cat runs 2>/dev/null || echo 0) + 1))
echo "$runs" >runs
[ "${BROKEN:-}" != "$runs" ] || { echo 'cc: no such file' >&2; exit 2; }
failed=0
fail() { # PATTERN FILE TEST
    case $runs in
    $1)
        echo "$2: 1 passed, 1 failed, 0 skipped"
        echo "    failed $2:$runs: $3"
        echo "      the reason"
        failed=$((failed + 1)) ;;
    *) echo "$2: 2 passed, 0 failed, 0 skipped" ;;
    esac
}
fail "${FAILS:-}" tests/a_spec.lua 'a map ends'
fail "${FLAKY:-}" tests/b_spec.lua 'a worker dies'
echo "build/tests/c_test: 1 passed, 0 failed, 0 skipped"
echo "$((5 - failed)) passed, $failed failed"
[ "$failed" = 0 ]
]]

describe("continuous integration", function()
  local folder
  before_each(function()
    folder = new_folder()
    os.execute(("cp -R .ci '%s' && mkdir -p '%s/tests/support' && cp tests/busy tests/loaded '%s/tests' && " ..
      "cp tests/support/failed.awk '%s/tests/support'"):format(folder.name, folder.name, folder.name, folder.name))
    folder:write("make", MAKE)
    os.execute(("chmod +x '%s/make'"):format(folder.name))
  end)
  after_each(function() folder:remove() end)

  -- What the command says, without seconds and dates, and its status.
  local function run(command)
    local result = program.shell(("cd '%s' && PATH=\"$PWD:$PATH\" %s"):format(folder.name, command))
    return result.out:gsub(", %d+ s", ""):gsub("%d+%-%d+%-%d+ %d+:%d+:%d+", "DATE"), result.status
  end
  local function ci(words) return run("env CI_SUITES=check " .. words .. " .ci/run") end
  -- The last lines name the one that is flaky, a Lua pattern, and then add up.
  local function assert_flaky(name, total, out)
    assert.truthy(out:find(("1 flaky, failed and then passed:\n  make check: %s\n%s\n$"):format(name, total)), out)
  end

  it("adds up", function()
    local out, status = ci ""
    assert.equal("make check: 5 passed, 0 failed, status 0\n5 passed, 0 failed\n", out)
    assert.equal(0, status)
  end)

  it("names a test that failed and then passed, and passes", function()
    local out, status = ci "FLAKY=1"
    assert_flaky("tests/b_spec.lua: a worker dies", "5 passed, 0 failed", out)
    assert.equal(0, status)
  end)

  it("counts it as failed where CI_FLAKY says so", function()
    local out, status = ci "FLAKY=1 CI_FLAKY=fail"
    assert.truthy(out:find "a worker dies\n4 passed, 1 failed\n$", out)
    assert.equal(1, status)
    out, status = ci "CI_FLAKY=maybe"
    assert.equal("", out)
    assert.equal(2, status)
  end)

  it("tells it from a test that fails each time", function()
    local out, status = ci "FLAKY=1 FAILS='*'"
    assert_flaky("tests/b_spec.lua: a worker dies", "4 passed, 1 failed", out)
    assert.equal(1, status)
  end)

  it("names a suite that failed without a test", function()
    local out, status = ci "BROKEN=1"
    assert_flaky("the whole suite", "5 passed, 0 failed", out)
    assert.equal(0, status)
  end)

  it("runs the tests under load, and lists the runs", function()
    local out, status = run "env FAILS=2 BROKEN=3 sh tests/loaded 3"
    assert.equal("DATE: run 1 of 3: 5 passed, 0 failed\n"
      .. "DATE: run 2 of 3: 4 passed, 1 failed, status 1; failed: tests/a_spec.lua: a map ends\n"
      .. "DATE: run 3 of 3: no total, status 2; failed: the whole suite\n"
      .. "1 runs passed, 2 failed\n", out)
    assert.equal(1, status)
    assert.equal(3, select(2, folder:read("build/loaded.log"):gsub("\n", "")))
    assert.equal("loaded-2.log loaded-3.log loaded.log", program.capture(
      ("ls '%s/build' | paste -s -d ' '"):format(folder.name)))
  end)

  it("ends the busy loops", function()
    local out = run "sh tests/busy 2 sh -c 'ps -o pid= --ppid $PPID; exit 3'"
    local children = 0
    for pid in out:gmatch "%d+" do
      children = children + 1
      assert.is_nil(program.capture(("ps -o pid= -p %s"):format(pid)))
    end
    assert.equal(3, children, out)
    local _, status = run "sh tests/busy 1 sh -c 'exit 3'"
    assert.equal(3, status)
  end)
end)

-- The simulation of examples/scaling.lua, as docs/scaling.md shows it.
local program = require "tests.support.program"
local read = require("tests.support.files").contents

local function simulate(arguments)
  local result = program.shell("$LKRUN examples/scaling.lua " .. arguments)
  assert.equal(0, result.status, result.err)
  return result.out
end

describe("The simulation of a cluster", function()
  it("gives the tables of the manual", function()
    local page = read "docs/scaling.md"
    assert.truthy(page:find(simulate "", 1, true))
    for _, arguments in ipairs {
      "failure=0.05", "failure=0.05 journal=0", "nodes=10 shards=10 rate=95 failure=0.3",
      "nodes=10 shards=10 rate=95 failure=0.3 journal=0",
    } do
      assert.truthy(page:find(simulate(arguments):match "[^\n]*\n$", 1, true), arguments)
    end
  end)

  it("is never faster than any of its stations", function()
    local seconds = tonumber(simulate("nodes=50 shards=400 users=1e8 seed=3"):match "no +(%d+%.%d)")
    assert.is_true(seconds >= 1e8 * 1056 / 20e9) -- what reading all users takes
    assert.is_true(seconds >= 400 / 50) -- what starting all shards takes
  end)

  it("refuses an unknown option", function()
    local result = program.shell "$LKRUN examples/scaling.lua nodes=many"
    assert.equal(2, result.status)
    assert.truthy(result.err:find("unknown option 'nodes=many'; expected NAME=NUMBER", 1, true))
  end)
end)

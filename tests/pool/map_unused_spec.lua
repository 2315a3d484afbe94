-- Maps that no loop goes through.
local program = require "tests.support.program"

-- What a program in which `inv` is an invoker, `double` its function, says beside its output.
local function told_of(code)
  local result = program.run("local lk = require 'lkrun'\n"
    .. "local function double(_, x) return 2 * x end\n"
    .. "local inv <close> = lk.invoker(nil, double, { n_jobs = 2 })\n" .. code)
  assert.equal(0, result.status, result.err)
  return result.err
end

local WARNING <const> = ":4: a map was never iterated, so none of its tasks ran"

-- The lines of a text that hold another one.
local function count(text, part)
  local lines = 0
  for line in text:gmatch "[^\n]+" do lines = lines + (line:find(part, 1, true) and 1 or 0) end
  return lines
end

describe("a map that no loop goes through", function()
  for where, code in pairs {
    ["at the end of its invoker"] = "inv:map { 1, 2 }",
    ["at shutdown"] = "inv:map { 1, 2 }\ninv:shutdown()",
    ["when it is collected"] = "inv:map { 1, 2 }\ncollectgarbage()\ninv:collect { 1 }",
    ["at the end of the program"] = "lk.map(nil, double, { 1, 2 }, { n_jobs = 2 })",
    ["in place"] = "lk.map(nil, double, { 1, 2 }, { n_jobs = 1 })",
    ["of an endless generator"] = "inv:map(function() return 1 end)",
  } do
    it("is warned of once, with its line, " .. where, function()
      local err = told_of(code)
      assert.equal(1, count(err, "WARN"), err)
      assert.equal(1, count(err, WARNING), err)
    end)
  end

  it("is told by the next one", function()
    local err = told_of "inv:map { 1, 2 }\nio.stderr:write(select(2, pcall(inv.map, inv, {})))"
    assert.equal(1, count(err, ":4 has not begun; it is a loop that runs the tasks"), err)
  end)
end)

describe("a map that was used", function()
  for how, code in pairs {
    ["by a loop"] = "for _ in inv:map { 1, 2 } do end",
    ["by a loop that ends early"] = "for _ in inv:map { 1, 2 } do break end",
    ["by a loop that fails"] = "pcall(function() for _ in inv:map { 1, 2 } do error 'no' end end)",
    ["by a loop over no tasks"] = "for _ in inv:map {} do end",
    ["by a loop whose generator fails"] = "pcall(function() for _ in inv:map(error) do end end)",
    ["by a loop in a coroutine that is dropped"] =
      "coroutine.wrap(function() for i in inv:map { 1, 2 } do coroutine.yield(i) end end)()",
    ["by one in its generator"] = "coroutine.wrap(function() for _ in inv:map(coroutine.yield) do end end)()",
    ["by a step"] = "local step = inv:map { 1, 2 }\nstep()",
    ["by another map"] = "for _ in lk.map(nil, double, function() return nil end) do end for _ in inv:map { 1 } do end",
    ["by collect"] = "inv:collect { 1, 2 }",
    ["not, but closed"] = "do local _, _, _, closing = inv:map { 1, 2 } local _ <close> = closing end",
  } do
    it(how .. " gives no warning", function() assert.equal("", told_of(code)) end)
  end
end)

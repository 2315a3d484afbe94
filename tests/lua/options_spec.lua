-- The one check of options, by the rules that a function has for them.
local options = require "lkrun.internal.options"

describe("options", function()
  local check = options.checker("f", {
    count = { default = 3, integer = true, least = 1 },
    few = { integer = true, least = 1, most = 5 },
    any_integer = { integer = true },
    part = { above = 0 },
    share = { above = 0, below = 1 },
    way = { default = "up", choices = { "up", "down" } },
    side = { choices = { "left", "right", "both" } },
    deep = { type = "boolean" },
    path = { fits = function(value) return value == "here" end, expected = "the word here" },
    seconds = { above = 0, expected = "seconds, more than 0" },
    whatever = { any = true },
  })

  it("have their defaults", function()
    assert.same({ count = 3, way = "up" }, check(nil))
    assert.same({ count = 3, way = "up" }, check {})
  end)

  it("are given back in a new table", function()
    local given = {
      count = 1, few = 5, any_integer = -7, part = 0.5, share = 0.5, way = "down", side = "both", deep = false,
      path = "here", seconds = 3, whatever = false,
    }
    assert.same(given, check(given))
    assert.is_false(given == check(given))
  end)

  it("are integers where a float has no fraction", function()
    assert.equal("integer", math.type(check({ count = 2.0 }).count))
  end)

  it("are refused where a rule does not allow the value", function()
    for expected, given in pairs {
      ["count is 1.5; expected an integer of 1 or more"] = { count = 1.5 },
      ["count is 0; expected an integer of 1 or more"] = { count = 0 },
      ["few is 6; expected an integer from 1 to 5"] = { few = 6 },
      ["any_integer is 'x'; expected an integer"] = { any_integer = "x" },
      ["part is 0; expected a number above 0"] = { part = 0 },
      ["part is inf; expected a number above 0"] = { part = math.huge },
      ["part is 'x'; expected a number above 0"] = { part = "x" },
      ["part is a table; expected a number above 0"] = { part = {} },
      ["share is 1; expected a number between 0 and 1"] = { share = 1 },
      ["way is 'left'; expected 'up' or 'down'"] = { way = "left" },
      ["side is 1; expected 'left', 'right' or 'both'"] = { side = 1 },
      ["deep is 1; expected a boolean"] = { deep = 1 },
      ["path is 'there'; expected the word here"] = { path = "there" },
      ["seconds is -1; expected seconds, more than 0"] = { seconds = -1 },
    } do
      assert.has_error(function() check(given) end, "lkrun: f: " .. expected)
    end
    local nan = 0 / 0
    assert.error_matches(function() check { part = nan } end, "^lkrun: f: part is %-?nan; expected a number above 0$")
  end)

  it("that are unknown are refused, with what may have been meant", function()
    local one = options.checker("g", { n_jobs = { any = true }, seed = { any = true } })
    assert.has_error(function() one { n_job = 2 } end,
      "lkrun: g: unknown option 'n_job' (did you mean 'n_jobs'?); there are n_jobs, seed")
    assert.has_error(function() one { elsewhere = 2 } end,
      "lkrun: g: unknown option 'elsewhere'; there are n_jobs, seed")
    assert.has_error(function() one { "n_jobs" } end, "lkrun: g: unknown option [1]; there are n_jobs, seed")
    assert.has_error(function() options.check("h", {}, { any = 1 }) end,
      "lkrun: h: unknown option 'any'; there are none")
  end)

  it("that are needed have to be there", function()
    local needs = options.checker("f", { output = { type = "string", required = true } })
    assert.has_error(function() needs {} end, "lkrun: f: output is missing; expected a string")
    assert.has_error(function() needs() end, "lkrun: f: output is missing; expected a string")
    assert.same({ output = "x" }, needs { output = "x" })
  end)

  it("are a table", function()
    assert.has_error(function() check "fast" end, "lkrun: f: the options are a string; expected a table")
    assert.has_error(function() check(4) end, "lkrun: f: the options are a number; expected a table")
  end)
end)

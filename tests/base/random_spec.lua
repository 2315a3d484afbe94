-- runs under: thread
local lk = require "lkrun"
local core = require "lkrun.core.random"
local random = lk.random

local function draws(stream, n)
  local values = {}
  for i = 1, n do values[i] = stream:uniform() end
  return values
end

describe("the generator", function()
  -- Random123's kat_vectors for philox4x32 10: counter, key, block.
  local vectors = {
    { { 0, 0, 0, 0, 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
    { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
      { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
    { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0 },
      { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
  }
  it("gives the published blocks", function()
    for _, vector in ipairs(vectors) do
      assert.same(vector[2], { core.block(table.unpack(vector[1])) })
    end
  end)
end)

describe("a stream", function()
  it("is the same for the same key", function()
    assert.same(draws(random.stream(7, 2, 3), 100), draws(random.stream(7, 2, 3), 100))
    assert.same(draws(random.stream(7, 1, 1), 5), draws(random.stream(7), 5))
  end)

  it("differs when any part of the key does", function()
    local seen = {}
    for _, seed in ipairs { 0, 1, 2, -1, math.maxinteger, math.mininteger } do
      for ordinal = 0, 5 do
        for index = 0, 5 do
          local stream = random.stream(seed, ordinal, index)
          for _ = 1, 4 do
            local bits = stream:integer(0)
            assert.is_nil(seen[bits])
            seen[bits] = true
          end
        end
      end
    end
  end)

  it("has draws that do not depend on what kind was drawn before", function()
    local one, other = random.stream(1), random.stream(1)
    one:uniform()
    other:integer(1, 6)
    assert.equal(one:uniform(), other:uniform())
  end)

  it("is uniform over [0, 1)", function()
    local stream, n = random.stream(11), 100000
    local bins, sum = {}, 0
    for i = 1, 20 do bins[i] = 0 end
    for _ = 1, n do
      local x = stream:uniform()
      assert(x >= 0 and x < 1)
      local bin = x * 20 // 1 | 0
      bins[bin + 1] = bins[bin + 1] + 1
      sum = sum + x
    end
    local chi = 0
    for i = 1, 20 do chi = chi + (bins[i] - n / 20) ^ 2 / (n / 20) end
    assert.is_true(chi < 43.8) -- 0.1 % of 19 degrees of freedom
    assert.is_true(math.abs(sum / n - 0.5) < 4 * (1 / 12 / n) ^ 0.5)
  end)

  it("gives every integer of a range equally often", function()
    local stream, n, counts = random.stream(12), 60000, { 0, 0, 0, 0, 0, 0 }
    for _ = 1, n do
      local x = stream:integer(1, 6)
      assert.equal("integer", math.type(x))
      counts[x] = counts[x] + 1
    end
    local chi = 0
    for i = 1, 6 do chi = chi + (counts[i] - n / 6) ^ 2 / (n / 6) end
    assert.is_true(chi < 20.5)
  end)

  it("has no bias where the range does not divide 2^64", function()
    -- Remainders of random integers from 0 to 2^63 - 1 would make the first third twice as likely as the others.
    local stream, low, n = random.stream(13), 0, 30000
    local span = 3 * (1 << 61) -- three quarters of the 2^63 non-negative integers
    for _ = 1, n do
      local x = stream:integer(0, span - 1)
      assert(x >= 0 and x < span)
      if x < span // 3 then low = low + 1 end
    end
    assert.is_true(math.abs(low / n - 1 / 3) < 5 * (2 / 9 / n) ^ 0.5)
  end)

  it("covers the whole of the integers", function()
    local stream, negative = random.stream(14), 0
    for _ = 1, 1000 do
      if stream:integer(math.mininteger, math.maxinteger) < 0 then negative = negative + 1 end
    end
    assert.is_true(negative > 400 and negative < 600)
    assert.equal(math.mininteger, stream:integer(math.mininteger, math.mininteger))
    assert.equal(math.maxinteger, stream:integer(math.maxinteger, math.maxinteger))
  end)

  it("has normal deviates of the right moments", function()
    local stream, n = random.stream(15), 100000
    local sum, squares, fourths, within = 0, 0, 0, 0
    for _ = 1, n do
      local x = stream:normal()
      sum, squares, fourths = sum + x, squares + x * x, fourths + x ^ 4
      if math.abs(x) < 1 then within = within + 1 end
    end
    assert.is_true(math.abs(sum / n) < 4 / n ^ 0.5)
    assert.is_true(math.abs(squares / n - 1) < 4 * (2 / n) ^ 0.5)
    assert.is_true(math.abs(fourths / n - 3) < 4 * (96 / n) ^ 0.5)
    assert.is_true(math.abs(within / n - 0.682689) < 0.01)
    local one, other = random.stream(15), random.stream(15)
    assert.equal(10 + 2 * one:normal(), other:normal(10, 2))
  end)

  it("refuses an empty range and a negative deviation", function()
    local stream = random.stream(1)
    assert.has_error(function() stream:integer(2, 1) end, "bad argument #1 to 'integer' (interval is empty)")
    assert.has_error(function() stream:integer(-5) end, "bad argument #1 to 'integer' (interval is empty)")
    assert.has_error(function() stream:integer(1.5) end,
      "bad argument #1 to 'integer' (number has no integer representation)")
    assert.has_error(function() stream:normal(0, -1) end,
      "bad argument #2 to 'normal' (the standard deviation is negative; expected 0 or more)")
    assert.has_error(function() stream:integer(1, 2, 3) end, "wrong number of arguments")
    assert.has_error(function() stream.uniform {} end)
  end)
end)

describe("lk.random", function()
  it("draws as math.random does", function()
    random.seed(5)
    local x = random()
    assert.is_true(x >= 0 and x < 1)
    for _ = 1, 100 do
      local n = random(3)
      assert.is_true(n >= 1 and n <= 3)
      n = random(-2, 2)
      assert.is_true(n >= -2 and n <= 2)
    end
    assert.equal("integer", math.type(random(0)))
    assert.has_error(function() random(2, 1) end, "bad argument #1 to 'random' (interval is empty)")
    assert.has_error(function() random(1, 2, 3) end, "wrong number of arguments")
    assert.has_error(function() random "x" end)
  end)

  it("repeats itself from a seed", function()
    random.seed(5)
    local first = { random(), random(10), random.normal() }
    random.seed(5)
    assert.same(first, { random(), random(10), random.normal() })
    random.seed(6)
    assert.are_not.equal(first[1], random())
  end)

  it("shuffles every order equally often", function()
    random.seed(3)
    local counts, n = {}, 12000
    for _ = 1, n do
      local t = { "a", "b", "c" }
      assert.equal(t, random.shuffle(t))
      local order = table.concat(t)
      counts[order] = (counts[order] or 0) + 1
    end
    local orders = 0
    for _, count in pairs(counts) do
      orders = orders + 1
      assert.is_true(math.abs(count - n / 6) < 250)
    end
    assert.equal(6, orders)
    assert.same({}, random.shuffle {})
    assert.has_error(function() random.shuffle "abc" end)
  end)
end)

describe("in a task", function()
  after_each(function() core.use(nil) end)

  it("every source draws from the task's stream", function()
    local expected = random.stream(9, 4, 2)
    local values = { expected:uniform(), expected:integer(1, 100), expected:normal(), expected:uniform() }
    core.use(random.stream(9, 4, 2))
    assert.same(values, { math.random(), random(1, 100), random.normal(), random() })
  end)

  it("math.random keeps its rules and its messages", function()
    core.use(random.stream(1))
    local call = math.random
    assert.equal(3, call(3, 3))
    assert.has_error(function() math.random(2, 1) end, "bad argument #1 to 'random' (interval is empty)")
    assert.has_error(function() math.random(1, 2, 3) end, "wrong number of arguments")
  end)

  it("seeding reaches that stream and nothing else", function()
    random.seed(77)
    local own = random()
    random.seed(77)
    core.use(random.stream(1))
    local one, two = math.randomseed(5, 6)
    assert.same({ 5, 6 }, { one, two })
    local a = math.random()
    math.randomseed(5, 6)
    assert.equal(a, random())
    random.seed(8)
    local b = math.random()
    math.randomseed(8)
    assert.equal(b, math.random())
    math.randomseed(0.25)
    local c = math.random()
    math.randomseed(0.75)
    assert.are_not.equal(c, math.random())
    math.randomseed()
    assert.has_error(function() math.randomseed {} end)
    core.use(nil)
    assert.equal(own, random())
  end)
end)

describe("outside a task", function()
  it("math.random is Lua's own", function()
    math.randomseed(42)
    local first = { math.random(), math.random(10), math.random(0) }
    random.seed(1)
    random()
    math.randomseed(42)
    assert.same(first, { math.random(), math.random(10), math.random(0) })
    assert.has_error(function() math.random(2, 1) end, "bad argument #1 to 'random' (interval is empty)")
  end)

  it("is wrapped once", function()
    local before, seed = math.random, math.randomseed
    core.install()
    assert.equal(before, math.random)
    assert.equal(seed, math.randomseed)
  end)

  it("a function that the program put there is called", function()
    local before = math.random
    finally(function()
      core.use(nil)
      rawset(math, "random", before)
    end)
    rawset(math, "random", function(...) return select("#", ...), ... end)
    core.install()
    assert.same({ 3, 1, nil, 2 }, { math.random(1, nil, 2) })
    core.use(random.stream(3))
    assert.equal(random.stream(3):uniform(), math.random())
  end)
end)

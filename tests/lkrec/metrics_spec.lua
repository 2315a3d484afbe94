local lk = require "lkrun"
local metrics = require "lkrec.metrics"

local function near(expected, actual, tolerance)
  assert.is_true(math.abs(expected - actual) <= (tolerance or 1e-12),
    ("expected %.15g, got %.15g"):format(expected, actual))
end

describe("lkrec.metrics on a list worked by hand", function()
  -- Relevant items stand at ranks 2 and 4; a third one was not found.
  local list = { "a", "b", "c", "d", "e" }
  local grades = { b = 3, d = 2, x = 1 }
  local log2_3 = math.log(3) / math.log(2)

  it("counts every relevant item alike in ndcg", function()
    -- Gain 1 at ranks 2 and 4: 1/1 + 1/2. Ideal, ranks 1 to 3: 1 + 1 + 1/log2(3) = 2.6309.
    near(1.5 / (2 + 1 / log2_3), metrics.ndcg(list, grades))
    near(0.570141, metrics.ndcg(list, grades), 1e-6)
    near(1 / (2 + 1 / log2_3), metrics.ndcg(list, grades, 3))
  end)

  it("weighs the grades in graded_ndcg", function()
    -- 3/1 + 2/2 = 4; ideal 3 + 2 + 1/log2(3) = 5.6309.
    near(4 / (5 + 1 / log2_3), metrics.graded_ndcg(list, grades))
    near(0.710362, metrics.graded_ndcg(list, grades), 1e-6)
    near(3 / 5, metrics.graded_ndcg(list, grades, 2))
  end)

  it("finds 2 of 3", function()
    near(2 / 3, metrics.recall(list, grades))
    near(1 / 3, metrics.recall(list, grades, 3))
    near(2 / 5, metrics.precision(list, grades))
    near(1 / 3, metrics.precision(list, grades, 3))
  end)

  it("looks at the first hit in hit_rate and reciprocal_rank", function()
    assert.equal(1, metrics.hit_rate(list, grades))
    assert.equal(0, metrics.hit_rate(list, grades, 1))
    assert.equal(1 / 2, metrics.reciprocal_rank(list, grades))
    assert.equal(0, metrics.reciprocal_rank(list, grades, 1))
  end)

  it("averages the precision at each relevant item", function()
    near((1 / 2 + 2 / 4) / 3, metrics.average_precision(list, grades))
    near((1 / 2) / 2, metrics.average_precision(list, grades, 2)) -- two places: at most two found
  end)

  it("discounts by patience in rbp", function()
    near(0.2 * (0.8 + 0.8 ^ 3), metrics.rbp(list, grades))
    near(0.5 * (0.5 + 0.125), metrics.rbp(list, grades, nil, 0.5))
    near(0.5 * 0.5, metrics.rbp(list, grades, 3, 0.5))
  end)
end)

describe("lkrec.metrics on published examples", function()
  it("reproduces the nDCG vector of Järvelin and Kekäläinen 2002, section 2", function()
    -- G' = <3,2,3,0,0,1,2,2,3,0,…>, ideal <3,3,3,2,2,2,1,1,1,1,0,…>, b = 2.
    local gains = { 3, 2, 3, 0, 0, 1, 2, 2, 3, 0 }
    local list, grades = {}, { [11] = 1, [12] = 1, [13] = 1 }
    for i, gain in ipairs(gains) do
      list[i] = i
      if gain > 0 then grades[i] = gain end
    end
    local published = { 1, 0.83, 0.87, 0.78, 0.71, 0.69, 0.73, 0.77, 0.83, 0.81 }
    for k, value in ipairs(published) do
      near(value, metrics.graded_ndcg(list, grades, k), 0.00501)
    end
  end)
end)

describe("lkrec.metrics at the edges", function()
  local names = { table.unpack(metrics.names) }

  it("names functions only", function()
    for _, name in ipairs(names) do assert.equal("function", type(metrics[name])) end
    assert.equal(8, #names)
  end)

  it("gives an empty list 0", function()
    for _, name in ipairs(names) do
      assert.equal(0, metrics[name]({}, { a = 1 }), name)
      assert.equal(0, metrics[name]({}, { a = 1 }, 10), name)
    end
  end)

  it("is nil where nothing is relevant", function()
    for _, name in ipairs(names) do
      assert.is_nil(metrics[name]({ "a" }, {}), name)
      assert.is_nil(metrics[name]({ "a" }, { a = 0, b = false }, 10), name)
    end
  end)

  it("is best for the best list", function()
    for _, name in ipairs(names) do
      local best = name == "rbp" and 1 - 0.8 ^ 2 or 1
      near(best, metrics[name]({ "b", "a" }, { a = 1, b = 2 }, 2))
    end
  end)

  it("takes true for grade 1", function()
    for _, name in ipairs(names) do
      assert.equal(metrics[name]({ "a", "b" }, { b = 1 }), metrics[name]({ "a", "b" }, { b = true }))
    end
  end)

  it("divides the precision of a short list by k, and ndcg by what k allows", function()
    near(1 / 10, metrics.precision({ "a" }, { a = 1 }, 10))
    near(1, metrics.ndcg({ "a" }, { a = 1 }, 10))
  end)
end)

describe("lkrec.metrics.evaluate", function()
  local test = { users = { 1, 1, 3 }, items = { 5, 6, 7 }, values = { 4.0, 2.0, 1.0 } }

  it("averages over the users with something relevant", function()
    local recommendations = {
      users = { 1, 2, 3 },
      items = lk.tensor.from({ { 5, 9, 0 }, { 1, 2, 3 }, { 1, 7, 2 } }, "i64"),
    }
    local result = metrics.evaluate(recommendations, test, 3)
    assert.same({ 1, 3 }, result.users)
    assert.equal(1, result.skipped)
    assert.same({ 1 / 2, 1 }, result.lists.recall)
    near((1 / 2 + 1) / 2, result.means.recall)
    near((1 / 3 + 1 / 3) / 2, result.means.precision)
    near((1 + 1 / 2) / 2, result.means.reciprocal_rank)
    near((4 / 6 + 1) / 2, result.means.graded_ndcg)
  end)

  it("takes the zeros of a short row for places left empty", function()
    local recommendations = { users = { 1 }, items = lk.tensor.from({ { 5, 0, 0, 0 } }, "i64") }
    assert.equal(1 / 4, metrics.evaluate(recommendations, test).means.precision)
    assert.equal(1, metrics.evaluate(recommendations, test, 1).means.precision)
  end)

  it("has no mean without lists", function()
    local mean = metrics.evaluate({ users = { 2 }, items = lk.tensor.from({ { 1 } }, "i64") }, test).means.ndcg
    assert.is_true(mean ~= mean)
  end)

  it("refuses a grade that is not above 0", function()
    assert.has_error(function()
      metrics.evaluate({ users = {}, items = lk.tensor.zeros { 0, 1 } },
        { users = { 1 }, items = { 1 }, values = { 0.0 } })
    end, "lkrun: lkrec.metrics.evaluate: rating 1 has value 0.0; expected one above 0")
  end)
end)

local lk = require "lkrun"
local data = require "lkrec.data"
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

  -- A list of ten, and what is relevant: the items at these ranks, and others up to `count`.
  local function ranking(ranks, count)
    local list, relevant = {}, {}
    for rank = 1, 10 do list[rank] = rank end
    for _, rank in ipairs(ranks) do relevant[rank] = true end
    for other = 11, 10 + count - #ranks do relevant[other] = true end
    return list, relevant
  end

  it("reproduces the averages of precision of Croft, Metzler and Strohman 2010, section 8.4", function()
    -- Search Engines: Information Retrieval in Practice. Figure 8.2, two rankings of six documents, and
    -- figure 8.3, two queries with five and three relevant documents.
    near(0.78, metrics.average_precision(ranking({ 1, 3, 4, 5, 6, 10 }, 6)), 0.00501)
    near(0.52, metrics.average_precision(ranking({ 2, 5, 6, 7, 9, 10 }, 6)), 0.00501)
    local first = metrics.average_precision(ranking({ 1, 3, 6, 9, 10 }, 5))
    local second = metrics.average_precision(ranking({ 2, 5, 7 }, 3))
    near(0.62, first, 0.00501)
    near(0.44, second, 0.00501)
    near(0.53, (first + second) / 2, 0.00501)
    -- The table of figure 8.2: precision and recall at every rank of the first.
    local list, relevant = ranking({ 1, 3, 4, 5, 6, 10 }, 6)
    for k, value in ipairs { 1, 0.5, 0.67, 0.75, 0.8, 0.83, 0.71, 0.63, 0.56, 0.6 } do
      near(value, metrics.precision(list, relevant, k), 0.00501)
    end
    for k, value in ipairs { 0.17, 0.17, 0.33, 0.5, 0.67, 0.83, 0.83, 0.83, 0.83, 1 } do
      near(value, metrics.recall(list, relevant, k), 0.00501)
    end
  end)

  it("reproduces the worked example of rank-biased precision in the manual of evret", function()
    -- https://kaivid-labs.github.io/evret/metrics/rbp/: relevant at ranks 1, 3 and 4 of 5, p = 0.8, so
    -- 0.2 + 0.128 + 0.1024 = 0.4304; and 1 in an endless list of relevant ones (Moffat and Zobel 2008, section 3).
    near(0.4304, metrics.rbp({ "d1", "d2", "d3", "d4", "d5" }, { d1 = 1, d3 = 1, d4 = 1 }, 5, 0.8))
    local list, relevant = {}, {}
    for rank = 1, 200 do list[rank], relevant[rank] = rank, true end
    for _, patience in ipairs { 0.5, 0.8 } do near(1, metrics.rbp(list, relevant, 200, patience)) end
  end)

  it("reproduces the mean reciprocal rank of the usual example", function()
    -- https://en.wikipedia.org/wiki/Mean_reciprocal_rank: the plurals of cat, torus and virus, with the right
    -- answers at ranks 3, 2 and 1: 1/3, 1/2 and 1, whose mean is 11/18, or 0.61.
    local lists = { { "catten", "cati", "cats" }, { "torii", "tori", "toruses" }, { "viruses", "virii", "viri" } }
    local sum = 0
    for i, answer in ipairs { "cats", "tori", "viruses" } do
      sum = sum + metrics.reciprocal_rank(lists[i], { [answer] = 1 })
    end
    near(11 / 18, sum / 3)
    near(0.61, sum / 3, 0.005)
  end)
end)

describe("lkrec.metrics at the edges", function()
  local names = metrics.names

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
  local test = lk.sparse.csr({ 1, 1, 3 }, { 5, 6, 7 }, { 4.0, 2.0, 1.0 }, { 3, 9 })

  it("averages over the users with something relevant", function()
    local recommendations = {
      users = lk.tensor.from({ 1, 2, 3, 0 }, "i64"),
      items = lk.tensor.from({ { 5, 9, 0 }, { 1, 2, 3 }, { 1, 7, 2 }, { 0, 0, 0 } }, "i64"),
    }
    local result = metrics.evaluate(recommendations, test, { k = 3 })
    assert.same({ 1, 3 }, result.users:totable())
    assert.equal(2, result.skipped)
    assert.same({ 1 / 2, 1 }, result.lists.recall:totable())
    near((1 / 2 + 1) / 2, result.means.recall)
    near((1 / 3 + 1 / 3) / 2, result.means.precision)
    near((1 + 1 / 2) / 2, result.means.reciprocal_rank)
    near((4 / 6 + 1) / 2, result.means.graded_ndcg)
  end)

  it("takes the zeros of a short row for places left empty", function()
    local recommendations = { users = { 1 }, items = lk.tensor.from({ { 5, 0, 0, 0 } }, "i64") }
    assert.equal(1 / 4, metrics.evaluate(recommendations, test).means.precision)
    assert.equal(1, metrics.evaluate(recommendations, test, { k = 1 }).means.precision)
    assert.equal(1 / 6, metrics.evaluate(recommendations, test, { k = 6 }).means.precision)
  end)

  it("is each metric's own value for each list, for every number of workers", function()
    local stream = lk.random.stream(7)
    local users, items, lists = 40, 30, 60
    local rows, columns, values, relevant = {}, {}, {}, {}
    for user = 1, users do
      relevant[user] = {}
      for item = 1, items do
        if user % 5 > 0 and stream:uniform() < 0.02 * user then
          rows[#rows + 1], columns[#columns + 1], values[#values + 1] = user, item, stream:integer(1, 5)
          relevant[user][item] = values[#values]
        end
      end
    end
    local ratings = data.from(rows, columns, values, nil, lk.tensor.arange(users):totable(),
      lk.tensor.arange(items):totable())
    for _, n in ipairs { 1, 4, 20 } do
      local of_lists, whose = {}, {}
      for i = 1, lists do
        local order = {}
        for item = 1, items do order[item] = item end
        stream:shuffle(order)
        local length = stream:integer(0, n)
        for rank = 1, n do order[rank] = rank <= length and order[rank] or 0 end
        of_lists[i] = table.move(order, 1, n, 1, {})
        whose[i] = stream:integer(1, users)
      end
      local recommendations = { users = lk.tensor.from(whose, "i64"), items = lk.tensor.from(of_lists, "i64") }
      for _, k in ipairs { 1, 3, n, n + 7 } do
        local result = metrics.evaluate(recommendations, ratings, { k = k, n_jobs = 1, patience = 0.6 })
        local at = 0
        for i, user in ipairs(whose) do
          if next(relevant[user]) then
            at = at + 1
            assert.equal(user, result.users[at])
            for _, name in ipairs(metrics.names) do
              local patience = name == "rbp" and 0.6 or nil
              near(metrics[name](of_lists[i], relevant[user], k, patience), result.lists[name][at])
            end
          end
        end
        assert.equal(at, #result.users)
        assert.equal(lists - at, result.skipped)
        for n_jobs = 2, 3 do
          local other = metrics.evaluate(recommendations, ratings, { k = k, n_jobs = n_jobs, patience = 0.6 })
          for _, name in ipairs(metrics.names) do assert.is_true(result.lists[name]:equal(other.lists[name])) end
        end
      end
    end
  end)

  it("has no mean without lists", function()
    local mean = metrics.evaluate({ users = { 2 }, items = lk.tensor.from({ { 1 } }, "i64") }, test).means.ndcg
    assert.is_true(mean ~= mean)
    mean = metrics.evaluate({ users = {}, items = lk.tensor.zeros({ 0, 3 }, "i64") }, test).means.ndcg
    assert.is_true(mean ~= mean)
  end)

  it("counts lists in a progress of the caller's", function()
    local progress <close> = lk.invoke_progress { total = 2 }
    metrics.evaluate({ users = { 1, 3, 2 }, items = lk.tensor.from({ { 1 }, { 2 }, { 3 } }, "i64") }, test,
      { progress = progress, n_jobs = 2 })
    assert.equal(2, progress.finished)
  end)

  it("refuses what it cannot use", function()
    local none = { users = {}, items = lk.tensor.zeros({ 0, 1 }, "i64") }
    local function refused(expected, recommendations, ratings, options)
      assert.has_error(function() metrics.evaluate(recommendations, ratings, options) end,
        "lkrun: lkrec.metrics.evaluate: " .. expected)
    end
    refused("rating 1 has value 0.0; expected one above 0", none, lk.sparse.csr({ 1 }, { 1 }, { 0 }, { 1, 1 }))
    refused("list 1 is for user 4; expected one of the 3 of the test",
      { users = { 4 }, items = lk.tensor.ones({ 1, 1 }, "i64") }, test)
    refused("k is 0; expected an integer of 1 or more", none, test, { k = 0 })
    refused("patience is 1; expected a number between 0 and 1", none, test, { patience = 1 })
    refused("unknown option 'n'; there are k, n_jobs, patience, progress", none, test, { n = 1 })
    assert.error_matches(function()
      metrics.evaluate({ users = { 1 }, items = lk.tensor.full({ 1, 1 }, 10, "i64") }, test, { n_jobs = 1 })
    end, "column 10 in row 1; expected from 1 to 9")
  end)
end)

describe("lkrec.metrics.rmse and mae", function()
  it("are those of the errors, by hand", function()
    -- Errors 1, -2, 0: 5 / 3 squared, 1 absolute.
    local rmse, missing = metrics.rmse({ 4, 1, 3 }, { 3, 3, 3 })
    near(math.sqrt(5 / 3), rmse)
    assert.equal(0, missing)
    near(1, metrics.mae(lk.tensor.from({ 4, 1, 3 }, "f32"), lk.tensor.from { 3, 3, 3 }))
  end)

  it("leave out pairs without a score, and say how many", function()
    local scores = { 4, 0 / 0, 1, 0 / 0 }
    assert.same({ math.sqrt(5 / 2), 2 }, { metrics.rmse(scores, { 3, 3, 3, 3 }) })
    assert.same({ 3 / 2, 2 }, { metrics.mae(scores, { 3, 3, 3, 3 }) })
    local rmse, missing = metrics.rmse({ 0 / 0 }, { 1 })
    assert.is_true(rmse ~= rmse)
    assert.equal(1, missing)
  end)

  it("leave their arguments as they were, and refuse lists of different lengths", function()
    local scores = lk.tensor.from { 4, 1 }
    metrics.mae(scores, { 3, 3 })
    assert.same({ 4, 1 }, scores:totable())
    assert.has_error(function() metrics.mae({ 1 }, { 1, 2 }) end,
      "lkrun: lkrec.metrics.mae: 1 scores and 2 values; expected one of each for a pair")
  end)
end)

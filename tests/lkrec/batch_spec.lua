local lk = require "lkrun"
local batch = require "lkrec.batch"
local program = require "tests.support.program"

local users, items = 300, 4000 -- more scores than one block of users holds
local stream = lk.random.stream(3)

-- Factors that are small integers, so that scores are exact and many of them equal.
local function small_integers(rows)
  local t = lk.tensor.zeros({ rows, 2 }, "f32")
  for i = 1, rows do
    for k = 1, 2 do t:set(i, k, stream:integer(-3, 3)) end
  end
  return t
end

local model = {
  kind = "lkrec.als.implicit", user_factors = small_integers(users), item_factors = small_integers(items),
}

-- The plain definition: the n best by score, then by index, of those that are allowed.
local function plainly(user, n, allowed)
  local x, y = model.user_factors:get(user, 1), model.user_factors:get(user, 2)
  local best = {}
  for item = 1, items do
    if allowed(item) then
      local score = x * model.item_factors:get(item, 1) + y * model.item_factors:get(item, 2)
      local place = #best + 1
      while place > 1 and best[place - 1].score < score do place = place - 1 end
      if place <= n then
        table.insert(best, place, { item = item, score = score })
        best[n + 1] = nil
      end
    end
  end
  return best
end

local function check(recommendations, row, expected, n)
  local found = {}
  for place = 1, n do
    local item = recommendations.items:get(row, place)
    found[place] = item ~= 0 and { item = item, score = recommendations.scores:get(row, place) } or nil
  end
  assert.same(expected, found)
end

local function everything() return true end

describe("lkrec.batch.recommend", function()
  it("gives the best items, those with equal scores by index, for every number of workers", function()
    local expected = {}
    for user = 1, users, 23 do expected[user] = plainly(user, 3, everything) end
    local first
    for _, n_jobs in ipairs { 1, 2, 3 } do
      local recommendations = batch.recommend(model, nil, { n = 3, n_jobs = n_jobs })
      assert.equal(users, #recommendations.users)
      for user, best in pairs(expected) do check(recommendations, user, best, 3) end
      first = first or recommendations
      assert.is_true(first.items:equal(recommendations.items))
      assert.is_true(first.scores:equal(recommendations.scores))
    end
  end)

  it("leaves out what each user has", function()
    local rows, columns, has = {}, {}, {}
    for user = 1, users do
      has[user] = {}
      for _ = 1, 200 do
        local item = stream:integer(1, items)
        if not has[user][item] then
          has[user][item] = true
          rows[#rows + 1], columns[#columns + 1] = user, item
        end
      end
    end
    local matrix = lk.sparse.csr(rows, columns, lk.tensor.ones({ #rows }, "f32"), { users, items })
    local recommendations = batch.recommend(model, nil, { n = 5, exclude = matrix, n_jobs = 2 })
    for user = 1, users, 31 do
      check(recommendations, user, plainly(user, 5, function(item) return not has[user][item] end), 5)
    end
  end)

  it("serves the users that are named, in their order, and one twice", function()
    local recommendations = batch.recommend(model, { 200, 3, 200 }, { n = 2, n_jobs = 1 })
    assert.same({ 200, 3, 200 }, recommendations.users:totable())
    for row, user in ipairs { 200, 3, 200 } do check(recommendations, row, plainly(user, 2, everything), 2) end
    assert.same({ 0, 4 }, batch.recommend(model, {}, { n = 4 }).items:size())
  end)

  it("chooses from candidates, in any order and repeated", function()
    local candidates = { 3999, 17, 2000, 17, 5, 3000 }
    local allowed = {}
    for _, item in ipairs(candidates) do allowed[item] = true end
    local exclude = lk.sparse.csr({ 1, 1, 1 }, { 17, 18, 3999 }, { 1, 1, 1 }, { users, items })
    local options = { n = 4, candidates = candidates, exclude = exclude, n_jobs = 2 }
    local recommendations = batch.recommend(model, { 1, 2 }, options)
    check(recommendations, 2, plainly(2, 4, function(item) return allowed[item] end), 4)
    allowed[17], allowed[3999] = nil, nil
    check(recommendations, 1, plainly(1, 4, function(item) return allowed[item] end), 4)
  end)

  it("ends a short list with 0", function()
    local recommendations = batch.recommend(model, { 1 }, {
      n = 4, candidates = { 10, 20, 30 }, n_jobs = 1,
      exclude = lk.sparse.csr({ 1 }, { 20 }, { 1 }, { users, items }),
    })
    local found = recommendations.items:select(1, 1):totable()
    table.sort(found)
    assert.same({ 0, 0, 10, 30 }, found)
    assert.same({ 0, 0 }, recommendations.items:narrow(2, 3, 2):select(1, 1):totable())
    assert.equal(-math.huge, recommendations.scores:get(1, 3))
    assert.equal(-math.huge, recommendations.scores:get(1, 4))
    assert.same({ 0, 0 }, batch.recommend(model, { 1 }, { n = 2, candidates = {} }).items:select(1, 1):totable())
  end)

  it("gives what there is where more is asked for than there are items, or all are excluded", function()
    local few = {
      kind = "lkrec.als.implicit", -- its factors here are f64, which is allowed
      user_factors = lk.tensor.from { { 1, 2 }, { 0, 1 } }, item_factors = lk.tensor.from { { 1, 0 }, { 1, 1 } },
    }
    local all = lk.sparse.csr({ 2, 2 }, { 1, 2 }, { 1, 1 }, { 2, 2 })
    for _, candidates in ipairs { { 1, 2 }, false } do
      local found = batch.recommend(few, nil, { n = 3, exclude = all, candidates = candidates or nil, n_jobs = 1 })
      assert.same({ { 2, 1, 0 }, { 0, 0, 0 } }, found.items:totable())
      assert.same({ { 3, 1, -math.huge }, { -math.huge, -math.huge, -math.huge } }, found.scores:totable())
      assert.equal("f64", found.scores.dtype)
    end
  end)

  it("counts users in a progress of the caller's", function()
    local progress <close> = lk.invoke_progress { total = users }
    batch.recommend(model, nil, { n_jobs = 2, progress = progress })
    assert.equal(users, progress.finished)
  end)

  it("recommends by popularity", function()
    local popular = { kind = "lkrec.popularity", users = 2, counts = lk.tensor.from({ 1, 5, 5, 0 }, "f32") }
    local recommendations = batch.recommend(popular, nil, { n = 3, n_jobs = 1 })
    assert.same({ { 2, 3, 1 }, { 2, 3, 1 } }, recommendations.items:totable())
  end)

  it("refuses what it cannot use", function()
    local function refused(expected, ...)
      local done, message = pcall(batch.recommend, ...)
      assert.is_false(done)
      assert.matches("lkrun: lkrec.batch.recommend: " .. expected, message)
    end
    refused("a model of kind 'os'; expected one of lkrec.als.explicit, .*lkrec.popularity, or a module that is "
      .. "loaded and has the functions size, and factors or scores", { kind = "os" })
    refused("a model of kind 'nil'", { size = function() return 1, 1 end })
    refused("the model is nil; expected a table", nil)
    refused("users%[2%] is 301; expected an index in %[1, 300%]", model, { 1, 301 })
    refused("users%[1%] is 0", model, { 0 })
    refused("users%[1%] is a table; expected", model, { {} })
    refused("candidates%[2%] is 4001; expected an index in %[1, 4000%]", model, nil, { candidates = { 1, 4001 } })
    refused("n is 0; expected an integer of 1 or more", model, nil, { n = 0 })
    refused("exclude is %[2, 2%]; expected %[300, 4000%]", model, nil,
      { exclude = lk.sparse.csr({ 1 }, { 1 }, { 1 }, { 2, 2 }) })
  end)
end)

-- A model with the same scores that has a function `scores` in place of factors.
local plain = {
  size = function() return users, items end,
  scores = function(_, some_users, some_items)
    local scores = model.user_factors:index(some_users):mm(model.item_factors:t())
    if some_items then scores = scores:t():index(some_items):t() end
    return scores
  end,
}

describe("a model without factors", function()
  it("is asked for its scores", function()
    local options = { n = 4, candidates = { 3999, 17, 2000, 5, 3000 }, n_jobs = 2 }
    for _, given in ipairs { { n = 4, n_jobs = 2 }, options } do
      local expected, found = batch.recommend(model, nil, given), batch.recommend(plain, nil, given)
      assert.is_true(expected.items:equal(found.items))
      assert.is_true(expected.scores:equal(found.scores))
    end
    local some = { 3, 3, 3, 7, 7, 1 }
    assert.is_true(batch.predict(model, some, { 9, 8, 7, 6, 5, 4 }):equal(
      batch.predict(plain, some, { 9, 8, 7, 6, 5, 4 })))
    assert.is_true(batch.score(model, { 9, 3 }):equal(batch.score(plain, { 9, 3 })))
    assert.is_true(batch.score(model, { 9, 3 }, { 4, 1 }):equal(batch.score(plain, { 9, 3 }, { 4, 1 })))
  end)

  it("has no score for some items, which are not recommended", function()
    local nan = 0 / 0
    local some = {
      size = function() return 1, 5 end,
      scores = function() return lk.tensor.from { { nan, 2, -math.huge, 1, nan } } end,
    }
    local recommendations = batch.recommend(some, nil, { n = 4, n_jobs = 1 })
    assert.same({ { 2, 4, 0, 0 } }, recommendations.items:totable())
    assert.same({ { 2, 1, -math.huge, -math.huge } }, recommendations.scores:totable())
  end)

  it("may be a plain table whose functions stand in a module that the program loaded", function()
    package.loaded["batch_spec.plain"] = plain
    local recommendations = batch.recommend({ kind = "batch_spec.plain" }, { 1 }, { n = 1, n_jobs = 1 })
    package.loaded["batch_spec.plain"] = nil
    check(recommendations, 1, plainly(1, 1, everything), 1)
  end)
end)

describe("users and items", function()
  local ids = { user_ids = {}, item_ids = {} }
  for user = 1, users do ids.user_ids[user] = 1000 + user end
  for item = 1, items do ids.item_ids[item] = "i" .. item end

  it("can be a list, a tensor of i64 or i32, or a range", function()
    local expected = batch.recommend(model, { 11, 12, 13 }, { n = 2, n_jobs = 1 }).items
    local tensor = lk.tensor.from({ 11, 12, 13 }, "i64")
    for _, given in ipairs { tensor, tensor:to "i32", { first = 11, last = 13 } } do
      assert.is_true(expected:equal(batch.recommend(model, given, { n = 2, n_jobs = 1 }).items))
    end
  end)

  it("can be ids", function()
    local options = { n = 3, ids = ids, candidates = { "i40", "i7", "i12" }, n_jobs = 1 }
    local found = batch.recommend(model, { 1200, 1001 }, options)
    local expected = batch.recommend(model, { 200, 1 }, { n = 3, candidates = { 40, 7, 12 }, n_jobs = 1 })
    assert.is_true(found.items:equal(expected.items))
    local user, rank, item = batch.each(found)()
    assert.same({ 1200, 1, "i" .. expected.items:get(1, 1) }, { user, rank, item })
    assert.is_true(batch.score(model, { 1200, 1001 }, { "i9", "i3" }, { ids = ids })
      :equal(batch.score(model, { 200, 1 }, { 9, 3 })))
    assert.is_true(batch.predict(model, { 1200, 1001 }, { "i9", "i3" }, { ids = ids })
      :equal(batch.predict(model, { 200, 1 }, { 9, 3 })))
  end)

  it("that nobody knows get empty lists and no scores, and the log says so", function()
    local options = { n = 2, ids = ids, candidates = { "i40", "i41", "nothing" }, n_jobs = 1 }
    local found = batch.recommend(model, { 5, 1200, "x" }, options)
    assert.same({ 0, 200, 0 }, found.users:totable())
    local expected = batch.recommend(model, { 200 }, { n = 2, candidates = { 40, 41 }, n_jobs = 1 })
    assert.same({ { 0, 0 }, expected.items[1]:totable(), { 0, 0 } }, found.items:totable())
    assert.equal(-math.huge, found.scores:get(3, 1))
    assert.equal(expected.scores:get(1, 1), found.scores:get(2, 1))
    local seen = {}
    for user in batch.each(found) do seen[#seen + 1] = user end
    assert.same({ 1200, 1200 }, seen)

    local scores = batch.score(model, { 5, 1200 }, { "i9", "nothing", "i3" }, { ids = ids })
    local one = batch.score(model, { 200 }, { 9, 3 })
    assert.is_true(scores:get(1, 1) ~= scores:get(1, 1) and scores:get(2, 2) ~= scores:get(2, 2))
    assert.same(one:totable()[1], { scores:get(2, 1), scores:get(2, 3) })
    local pairwise = batch.predict(model, { 5, 1200, 1200 }, { "i9", "nothing", "i3" }, { ids = ids })
    assert.is_true(pairwise[1] ~= pairwise[1] and pairwise[2] ~= pairwise[2])
    assert.equal(one:get(1, 2), pairwise[3])

    local messages = program.run([[
      local lk, batch = require "lkrun", require "lkrec.batch"
      local model = { size = function() return 1, 1 end, scores = function() return lk.tensor.ones { 1, 1 } end }
      batch.recommend(model, { "a", "b", "c" }, { n_jobs = 1, ids = { user_ids = { "b" }, item_ids = { 1 } } })
    ]]).err
    assert.matches("lkrec.batch.recommend: 2 of 3 users are unknown, the first is a", messages)
  end)
end)

describe("lkrec.batch.each", function()
  it("gives user, rank, item and score, and passes over the ends of short lists", function()
    local seen = {}
    for user, rank, item, score in batch.each {
      users = { 7, 8, 9, 10 },
      items = lk.tensor.from({ { 4, 2 }, { 0, 0 }, { 5, 0 }, { 0, 0 } }, "i64"),
      scores = lk.tensor.from({ { 2, 1 }, { 0, 0 }, { 3, 0 }, { 0, 0 } }, "f32"),
    } do
      seen[#seen + 1] = { user, rank, item, score }
    end
    assert.same({ { 7, 1, 4, 2 }, { 7, 2, 2, 1 }, { 9, 1, 5, 3 } }, seen)
  end)
end)

describe("lkrec.batch.score and predict", function()
  local function product(user, item)
    local sum = 0
    for k = 1, 2 do sum = sum + model.user_factors:get(user, k) * model.item_factors:get(item, k) end
    return sum
  end

  it("score all items, or pairs", function()
    local scores = batch.score(model, { 5, 250 })
    assert.same({ 2, items }, scores:size())
    assert.equal(product(250, 3999), scores:get(2, 3999))
    assert.same({ product(9, 1), product(300, 4000) }, batch.predict(model, { 9, 300 }, { 1, 4000 }):totable())
  end)

  it("refuse what they cannot use", function()
    assert.has_error(function() batch.predict(model, { 1 }, { 1, 2 }) end,
      "lkrun: lkrec.batch.predict: 1 users and 2 items; expected one of each for a pair")
    assert.has_error(function() batch.score(model, { 301 }) end,
      "lkrun: lkrec.batch.score: users[1] is 301; expected an index in [1, 300]")
    assert.has_error(function() batch.score({ kind = "x" }) end)
  end)
end)

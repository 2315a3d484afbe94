local data = require "lkrec.data"

local path

local function load(text, options)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
  return data.load(path, options)
end

-- busted's has_error would strip what looks like a position: our file and line.
local function message(func, ...)
  local done, raised = pcall(func, ...)
  assert.is_false(done)
  return raised
end

before_each(function() path = os.tmpname() end)
after_each(function() os.remove(path) end)

describe("lkrec.data.load", function()
  it("reads the columns of MovieLens, in ascending order of the ids", function()
    local ratings = load "userId,movieId,rating,timestamp\n7,20,3.5,100\n3,1000,4,50\n7,3,1,99\n"
    assert.same({
      users = { 1, 2, 2 }, items = { 3, 1, 2 }, values = { 4.0, 1.0, 3.5 }, times = { 50, 99, 100 },
      user_ids = { 3, 7 }, item_ids = { 3, 20, 1000 },
    }, ratings)
  end)

  it("reads plain names, without ratings and times, among other columns and in any case", function()
    local ratings = load 'Item,title,USER_ID\nx,"a, b",u2\ny,c,u1\n'
    assert.same({
      users = { 1, 2 }, items = { 2, 1 }, values = { 1.0, 1.0 },
      user_ids = { "u1", "u2" }, item_ids = { "x", "y" },
    }, ratings)
  end)

  it("takes columns by name", function()
    local ratings = load("who,what,user,stars\n1,2,x,5\n",
      { columns = { user = "who", item = "what", rating = "stars" } })
    assert.same({ users = { 1 }, items = { 1 }, values = { 5.0 }, user_ids = { 1 }, item_ids = { 2 } }, ratings)
  end)

  it("keeps 64-bit ids as integers, and others as the strings they are", function()
    local ratings = load "user,item\n9223372036854775807,007\n-9223372036854775808,8\n"
    assert.same({ math.mininteger, math.maxinteger }, ratings.user_ids)
    assert.same({ "007", "8" }, ratings.item_ids)
    assert.same({ "9223372036854775808" }, load("user,item\n9223372036854775808,1\n").user_ids)
    assert.same({ "0x10", "1e3" }, load("user,item\n0x10,1\n1e3,1\n").user_ids)
  end)

  it("does not depend on the order of the rows", function()
    local one = load "user,item,rating\n1,1,1\n1,2,2\n2,1,3\n2,2,4\n"
    local other = load "user,item,rating\n2,2,4\n1,2,2\n2,1,3\n1,1,1\n"
    assert.same(one, other)
  end)

  it("keeps the latest rating of a pair", function()
    local ratings = load "user,item,rating,time\n1,1,1,5\n1,1,2,9\n1,1,3,7\n1,1,4,9\n1,2,5,1\n"
    assert.same({ 4.0, 5.0 }, ratings.values)
    assert.same({ 9, 1 }, ratings.times)
    assert.same({ 3.0 }, load("user,item,rating\n1,1,2\n1,1,3\n").values)
  end)

  it("names file, line and cell of what it cannot use", function()
    local function refused(line, text, expected)
      assert.equal(("lkrun: lkrec.data.load: %s:%d: %s"):format(path, line, expected), message(load, text))
    end
    refused(3, "user,item,rating\n1,1,1\n1,2,good\n", "rating is 'good'; expected a finite number")
    refused(2, "user,item,rating\n1,1,nan\n", "rating is 'nan'; expected a finite number")
    refused(2, "user,item,rating\n1,1,1e999\n", "rating is '1e999'; expected a finite number")
    refused(2, "user,item,rating\n1,1,\n", "rating is ''; expected a finite number")
    refused(2, "user,item,time\n1,1,noon\n", "time is 'noon'; expected a finite number")
    refused(2, "user,item\n,1\n", "user is ''; expected an id")
    refused(2, "user,item\n1,\n", "item is ''; expected an id")
  end)

  it("names the file and the header where columns are missing or could be two", function()
    assert.equal(("lkrun: lkrec.data.load: %s: no column for the item; expected itemId or item, or a name in "
      .. "`columns`; the header is user,rating"):format(path), message(load, "user,rating\n1,1\n"))
    assert.matches("columns 'item' and 'movieId' could both be the item", message(load, "user,item,movieId\n1,1,1\n"))
    assert.matches("expected a column 'stars'; the header is user,item",
      message(load, "user,item\n1,1\n", { columns = { rating = "stars" } }))
  end)

  it("refuses a file without ratings", function()
    assert.matches("has no ratings; expected a header and at least one row", message(load, ""))
    assert.matches("has no ratings; expected a header and at least one row", message(load, "user,item\n"))
  end)
end)

describe("lkrec.data.from", function()
  it("sorts", function()
    local ratings = data.from({ 2, 1, 2 }, { 1, 2, 3 }, { 1.0, 2.0, 3.0 }, nil, { 10, 20 }, { "a", "b", "c" })
    assert.same({ { 1, 2, 2 }, { 2, 1, 3 }, { 2.0, 1.0, 3.0 } }, { ratings.users, ratings.items, ratings.values })
  end)

  it("refuses an index that no id has, and arrays of different lengths", function()
    assert.matches("lkrec.data.from: users%[1%] is 3; expected an index in %[1, 2%]",
      message(data.from, { 3 }, { 1 }, { 1 }, nil, { 1, 2 }, { 1 }))
    assert.matches("lkrec.data.from: 0 values; expected 1",
      message(data.from, { 1 }, { 1 }, {}, nil, { 1 }, { 1 }))
  end)
end)

-- One user with n ratings for each n of `counts`; item i was rated at time 1000 - i.
local function users_with(counts)
  local users, items, values, times, user_ids, item_ids = {}, {}, {}, {}, {}, {}
  for user, count in ipairs(counts) do
    user_ids[user] = user
    for item = 1, count do
      local n = #users + 1
      users[n], items[n], values[n], times[n] = user, item, item / 2, 1000 - item
      item_ids[item] = item
    end
  end
  return data.from(users, items, values, times, user_ids, item_ids)
end

local function count_by_user(ratings, users)
  local counts = {}
  for user = 1, users do counts[user] = 0 end
  for user, first, last in data.each_user(ratings) do counts[user] = last - first + 1 end
  return counts
end

describe("lkrec.data.split", function()
  local counts = { 1, 2, 3, 7, 8, 40 }

  it("takes the rounded fraction of each user and leaves one to train", function()
    local train, test = data.split(users_with(counts), { fraction = 0.2 })
    assert.same({ 0, 0, 1, 1, 2, 8 }, count_by_user(test, 6))
    assert.same({ 1, 2, 2, 6, 6, 32 }, count_by_user(train, 6))
    test = select(2, data.split(users_with(counts), { fraction = 0.9 }))
    assert.same({ 0, 1, 2, 6, 7, 36 }, count_by_user(test, 6))
  end)

  it("takes a count of each user", function()
    local _, test = data.split(users_with(counts), { count = 5 })
    assert.same({ 0, 1, 2, 5, 5, 5 }, count_by_user(test, 6))
  end)

  it("loses nothing and doubles nothing", function()
    local ratings = users_with(counts)
    for _, method in ipairs { "random", "last" } do
      local train, test = data.split(ratings, { method = method, fraction = 0.4 })
      local users, items, values, times = {}, {}, {}, {}
      for _, part in ipairs { train, test } do
        for i = 1, #part.users do
          local n = #users + 1
          users[n], items[n], values[n], times[n] = part.users[i], part.items[i], part.values[i], part.times[i]
        end
      end
      assert.equal(#ratings.users, #users)
      assert.same(ratings, data.from(users, items, values, times, ratings.user_ids, ratings.item_ids))
    end
  end)

  it("depends on the seed, and not on other users", function()
    local _, one = data.split(users_with { 20, 20 }, { seed = 5 })
    local _, same = data.split(users_with { 20, 20 }, { seed = 5 })
    local _, other = data.split(users_with { 20, 20 }, { seed = 6 })
    local _, alone = data.split(users_with { 20 }, { seed = 5 })
    assert.same(one, same)
    assert.not_same(one.items, other.items)
    assert.same(alone.items, { table.unpack(one.items, 1, 4) })
    assert.not_same({ table.unpack(one.items, 1, 4) }, { table.unpack(one.items, 5, 8) })
  end)

  it("takes the latest with 'last', and the higher item of equal times", function()
    local _, test = data.split(users_with { 10 }, { method = "last", count = 3 })
    assert.same({ 1, 2, 3 }, test.items)
    local ratings = data.from({ 1, 1, 1 }, { 1, 2, 3 }, { 1, 1, 1 }, { 5, 5, 4 }, { 1 }, { 1, 2, 3 })
    _, test = data.split(ratings, { method = "last", count = 1 })
    assert.same({ 2 }, test.items)
  end)

  it("refuses what it cannot do", function()
    local ratings = users_with { 3 }
    local function refused(options, expected)
      assert.matches("lkrun: lkrec.data.split: " .. expected, message(data.split, ratings, options))
    end
    refused({ method = "first" }, "method is 'first'; expected 'random' or 'last'")
    refused({ fraction = 1.0 }, "fraction is 1.0; expected a number between 0 and 1")
    refused({ count = 0 }, "count is 0; expected an integer of 1 or more")
    refused({ count = 1, fraction = 0.1 }, "both fraction and count are given")
    ratings.times = nil
    refused({ method = "last" }, "the ratings have no times")
  end)
end)

-- The pairs of some parts, each once, as a set; raises for one that comes twice.
local function pairs_of(...)
  local seen = {}
  for _, part in ipairs { ... } do
    for i, user in ipairs(part.users) do
      local pair = user .. " " .. part.items[i]
      assert.is_nil(seen[pair])
      seen[pair] = part.values[i]
    end
  end
  return seen
end

describe("lkrec.data.split_time", function()
  local ratings = data.from({ 1, 1, 2, 2, 3 }, { 1, 2, 1, 3, 1 }, { 1, 2, 3, 4, 5 }, { 10, 30, 20, 30, 5 },
    { 1, 2, 3 }, { 1, 2, 3 })

  it("tests with what came at a moment or later", function()
    local train, test = data.split_time(ratings, { time = 20 })
    assert.same({ { 1, 3 }, { 1, 1 }, { 10, 5 } }, { train.users, train.items, train.times })
    assert.same({ { 1, 2, 2 }, { 2, 1, 3 } }, { test.users, test.items })
    assert.same(ratings.item_ids, test.item_ids)
    assert.equal(0, #data.split_time(ratings, { time = 5 }).users)
  end)

  it("tests with the part that came last, and does not tear a moment apart", function()
    for fraction, count in pairs { [0.01] = 2, [0.2] = 2, [0.4] = 2, [0.6] = 3, [0.8] = 4, [0.99] = 5 } do
      local train, test = data.split_time(ratings, { fraction = fraction })
      assert.equal(count, #test.users)
      assert.same(pairs_of(ratings), pairs_of(train, test))
    end
  end)

  it("refuses what it cannot do", function()
    local function refused(expected, ...)
      assert.matches("lkrun: lkrec.data.split_time: " .. expected, message(data.split_time, ...))
    end
    refused("time is nil and fraction is nil; expected one of them", ratings, {})
    refused("time is 3 and fraction is 0.5; expected one of them", ratings, { time = 3, fraction = 0.5 })
    refused("fraction is 1; expected a number between 0 and 1", ratings, { fraction = 1 })
    refused("the ratings have no times", { users = {} }, { time = 3 })
  end)
end)

describe("lkrec.data.folds", function()
  it("tests with every rating once, in parts of equal size", function()
    local ratings = users_with { 3, 20, 9 }
    local tests = {}
    for fold, train, test in data.folds(ratings, 5) do
      tests[fold] = test
      assert.same(pairs_of(ratings), pairs_of(train, test))
      assert.is_true(#test.users == 6 or #test.users == 7)
    end
    assert.equal(5, #tests)
    assert.same(pairs_of(ratings), pairs_of(table.unpack(tests)))
  end)

  it("tests with every user once, and leaves them some ratings to train on", function()
    local ratings = users_with { 1, 2, 3, 7, 8, 40, 10 }
    local tested = {}
    for _, train, test in data.folds(ratings, 3, { by = "users", count = 2 }) do
      assert.same(pairs_of(ratings), pairs_of(train, test))
      local counts = count_by_user(train, 7)
      for user, first, last in data.each_user(test) do
        assert.is_nil(tested[user])
        tested[user] = last - first + 1
        assert.is_true(counts[user] > 0)
      end
    end
    assert.same({ nil, 1, 2, 2, 2, 2, 2 }, tested)
    local _, split_test = data.split(ratings, { count = 2 })
    local parts = {}
    for fold, _, test in data.folds(ratings, 3, { by = "users", count = 2 }) do parts[fold] = test end
    assert.same(pairs_of(split_test), pairs_of(table.unpack(parts))) -- both choose the same of each user's ratings
  end)

  it("depends on the seed", function()
    local ratings = users_with { 30, 30 }
    local function first(options) return (select(3, data.folds(ratings, 3, options)())) end
    assert.same(first { seed = 4 }, first { seed = 4 })
    assert.not_same(first { seed = 4 }.items, first { seed = 5 }.items)
  end)

  it("refuses what it cannot do", function()
    local ratings = users_with { 3, 2 }
    local function refused(expected, ...)
      assert.matches("lkrun: lkrec.data.folds: " .. expected, message(data.folds, ratings, ...))
    end
    refused("6 folds; expected an integer from 2 to the number of ratings, 5", 6)
    refused("1 folds", 1)
    refused("nil folds", nil)
    refused("3 folds; expected an integer from 2 to the number of users, 2", 3, { by = "users" })
    refused("by is 'items'; expected 'ratings' or 'users'", 2, { by = "items" })
    refused("method is 'first'", 2, { method = "first" })
  end)
end)

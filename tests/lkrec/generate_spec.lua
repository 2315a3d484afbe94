local data = require "lkrec.data"

describe("lkrec.data.generate", function()
  it("makes what was asked for, from 1 rating a user on", function()
    local ratings = data.generate { users = 100, items = 200, ratings = 3000, seed = 3 }
    assert.equal(3000, #ratings.users)
    assert.equal(100, #ratings.user_ids)
    assert.equal(200, #ratings.item_ids)
    local users = 0
    for _, first, last in data.each_user(ratings) do
      users = users + 1
      assert.is_true(last - first + 1 <= 100)
    end
    assert.equal(100, users)
    for _, value in ipairs(ratings.values) do
      assert.is_true(value >= 1 and value <= 5 and value == math.floor(value))
    end
  end)

  it("depends on the seed alone", function()
    local options = { users = 50, items = 100, ratings = 700, seed = 3 }
    local one, same = data.generate(options), data.generate(options)
    options.seed = 4
    assert.same(one, same)
    assert.not_same(one.items, data.generate(options).items)
  end)

  it("has a long tail: a tenth of the items has at least three tenths of the ratings", function()
    local ratings = data.generate { users = 300, items = 600, ratings = 9000 }
    local counts = {}
    for item = 1, 600 do counts[item] = 0 end
    for _, item in ipairs(ratings.items) do counts[item] = counts[item] + 1 end
    table.sort(counts, function(a, b) return a > b end)
    local head = 0
    for rank = 1, 60 do head = head + counts[rank] end
    assert.is_true(head >= 0.3 * 9000)
    assert.is_true(counts[600] < 9000 / 600 / 3)
  end)

  it("goes to the limits: one rating each, and a quarter of all pairs", function()
    assert.equal(20, #data.generate({ users = 20, items = 10, ratings = 20 }).users)
    assert.equal(50, #data.generate({ users = 20, items = 10, ratings = 50 }).users)
    for _, ratings in ipairs { 19, 51 } do
      assert.has_error(function() data.generate { users = 20, items = 10, ratings = ratings } end,
        ("lkrun: lkrec.data.generate: %d ratings of 20 users and 10 items; expected from 20 to 50"):format(ratings))
    end
  end)
end)

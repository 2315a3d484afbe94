local lk = require "lkrun"
local popularity = require "lkrec.popularity"

describe("lkrec.popularity", function()
  -- Item 1 has three users, item 2 one, item 3 none; how much each liked it does not count.
  local matrix = lk.sparse.csr({ 1, 2, 3, 3 }, { 1, 1, 1, 2 }, { 1, 1, 1, 9 }, { 3, 3 })
  local model = popularity.train(matrix)

  it("counts the users of each item", function()
    assert.same({ 3, 1, 0 }, model.counts:totable())
    assert.same({ 3, 3 }, { popularity.size(model) })
  end)

  it("scores alike for every user", function()
    assert.same({ { 3, 1, 0 }, { 3, 1, 0 } }, popularity.scores(model, { 3, 1 }):totable())
    local out = lk.tensor.zeros({ 1, 3 }, "f32")
    assert.equal(out, popularity.scores(model, { 2 }, out))
    assert.same({ { 3, 1, 0 } }, out:totable())
    assert.same({ 1, 3 }, popularity.predict(model, { 1, 1 }, { 2, 1 }):totable())
  end)

  it("can be had for some of the items", function()
    local some = popularity.for_items(model, { 3, 1 })
    assert.same({ { 0, 3 } }, popularity.scores(some, { 1 }):totable())
    assert.same({ 3, 2 }, { popularity.size(some) })
  end)
end)

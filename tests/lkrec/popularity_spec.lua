local lk = require "lkrun"
local batch = require "lkrec.batch"
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
    assert.same({ { 3, 1, 0 }, { 3, 1, 0 } }, batch.score(model, { 3, 1 }):totable())
    assert.same({ 1, 3 }, batch.predict(model, { 1, 1 }, { 2, 1 }):totable())
  end)
end)

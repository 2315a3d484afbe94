local lk = require "lkrun"
local batch = require "lkrec.batch"
local bias = require "lkrec.bias"

-- User 3 and item 3 have no ratings.
local matrix = lk.sparse.csr({ 1, 1, 2 }, { 1, 2, 1 }, { 5, 3, 4 }, { 3, 3 })

local function near(expected, tensor)
  assert.is_true(lk.tensor.from(expected):allclose(tensor:to "f64", 1e-6, 1e-7), tostring(tensor))
end

describe("lkrec.bias", function()
  it("takes items from the mean, then users from both, by hand", function()
    -- g = 4; item 1: (1 + 0) / 2, item 2: -1; user 1: (0.5 + 0) / 2, user 2: -0.5.
    local model = bias.train(matrix, { user_damping = 0, item_damping = 0 })
    assert.equal(4, model.mean)
    near({ 0.5, -1, 0 }, model.item_offsets)
    near({ 0.25, -0.5, 0 }, model.user_offsets)
    near({ { 4.75, 3.25, 4.25 }, { 4, 2.5, 3.5 }, { 4.5, 3, 4 } }, batch.score(model))
  end)

  it("damps towards the mean, by hand", function()
    -- Item 1: 1 / (2 + 2), item 2: -1 / (1 + 2); user 1: (0.75 - 2/3) / (2 + 1), user 2: -0.25 / (1 + 1).
    local model = bias.train(matrix, { user_damping = 1, item_damping = 2 })
    near({ 1 / 4, -1 / 3, 0 }, model.item_offsets)
    near({ (0.75 - 2 / 3) / 3, -1 / 8, 0 }, model.user_offsets)
  end)

  it("leaves what it does not explain", function()
    local model = bias.train(matrix, { user_damping = 1, item_damping = 2 })
    local residuals = bias.residuals(model, matrix):todense()
    local scores = batch.score(model)
    near({ { 5 - scores:get(1, 1), 3 - scores:get(1, 2), 0 }, { 4 - scores:get(2, 1), 0, 0 }, { 0, 0, 0 } }, residuals)
  end)

  it("recommends by item where users do not matter", function()
    local recommendations = batch.recommend(bias.train(matrix), { 3, 1 }, { n = 2, exclude = matrix, n_jobs = 1 })
    assert.same({ { 1, 3 }, { 3, 0 } }, recommendations.items:totable())
  end)

  it("refuses what it cannot use", function()
    assert.has_error(function() bias.train(lk.sparse.csr({}, {}, {}, { 2, 2 })) end,
      "lkrun: lkrec.bias.train: the matrix has no entries; expected at least one rating")
    assert.has_error(function() bias.train(matrix, { damping = 5 }) end,
      "lkrun: lkrec.bias.train: unknown option 'damping'; there are item_damping, user_damping")
    for shown, value in pairs { ["-1"] = -1, ["'5'"] = "5", [tostring(0 / 0)] = 0 / 0, inf = math.huge } do
      assert.has_error(function() bias.train(matrix, { user_damping = value }) end,
        ("lkrun: lkrec.bias.train: user_damping is %s; expected a number of 0 or more"):format(shown))
    end
  end)
end)

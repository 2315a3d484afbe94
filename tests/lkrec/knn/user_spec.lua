local lk = require "lkrun"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local user_knn = require "lkrec.knn.user"
local plainly = require "tests.lkrec.knn.plainly"

local matrix = data.matrix(data.generate { users = 60, items = 40, ratings = 600 }, { values = true })

describe("lkrec.knn.user", function()
  for _, feedback in ipairs { "explicit", "implicit" } do
    it("scores by its definition for " .. feedback .. " feedback, for every number of workers", function()
      local missing = 0
      for _, c in ipairs { { 20, 1, 1e-6 }, { 3, 1, 1e-6 }, { 3, 3, 0.3 }, { 1000, 2, 0.1 } } do
        local model = user_knn.train(matrix, {
          feedback = feedback, neighbours = c[1], least_neighbours = c[2], least_similarity = c[3],
        })
        local scores = batch.score(model, nil, nil, { n_jobs = 1 })
        missing = missing + plainly.check(plainly.scores(matrix, c[1], c[2], c[3], feedback), scores)
        for n_jobs = 2, 3 do
          assert.equal(tostring(scores), tostring(batch.score(model, nil, nil, { n_jobs = n_jobs })))
        end
      end
      assert.is_true(missing > 0)
    end)
  end

  it("scores a case worked by hand", function()
    -- Less their means: user 1 has 1 -1 on items 1 and 2, user 2 has 1 -1 and 0 on item 3, user 3 -1 1.
    local small = lk.sparse.csr({ 1, 1, 2, 2, 2, 3, 3 }, { 1, 2, 1, 2, 3, 1, 2 }, { 5, 3, 4, 2, 3, 1, 3 }, { 3, 3 })
    local model = user_knn.train(small)
    -- User 2 is the only neighbour of user 1, and gave item 3 its mean: user 1 gives it its own.
    local scores = batch.score(model, { 1, 3 }, { 3, 1 })
    assert.equal(4, scores:get(1, 1))
    assert.is_true(math.abs(scores:get(1, 2) - 5) < 1e-6)
    assert.is_true(scores:get(2, 1) ~= scores:get(2, 1)) -- user 3 has none
  end)

  it("takes matrices with empty rows and columns, or without any entry", function()
    for _, feedback in ipairs { "explicit", "implicit" } do
      for _, m in ipairs { lk.sparse.csr({}, {}, {}, { 3, 2 }), lk.sparse.csr({ 1 }, { 2 }, { 4 }, { 3, 4 }),
        lk.sparse.csr({}, {}, {}, { 0, 0 }) } do
        local model = user_knn.train(m, { feedback = feedback })
        assert.same({ m:size(1), m:size(2) }, { user_knn.size(model) })
        local recommendations = batch.recommend(model, nil, { n = 2 })
        for row = 1, m:size(1) do assert.equal(0, recommendations.items:get(row, 1)) end
      end
    end
  end)

  it("leaves the matrix as it was, and refuses unknown options", function()
    local before = matrix:values():clone()
    user_knn.train(matrix)
    assert.is_true(before:equal(matrix:values()))
    assert.has_error(function() user_knn.train(matrix, { keep = 3 }) end,
      "lkrun: lkrec.knn.user.train: unknown option 'keep'; there are feedback, least_neighbours, "
      .. "least_similarity, neighbours")
  end)
end)

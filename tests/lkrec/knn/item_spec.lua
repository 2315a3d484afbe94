local lk = require "lkrun"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local item_knn = require "lkrec.knn.item"
local plainly = require "tests.lkrec.knn.plainly"

local matrix = data.matrix(data.generate { users = 60, items = 40, ratings = 600 }, { values = true })
local users, items = matrix:size(1), matrix:size(2)

describe("lkrec.knn.item", function()
  for _, feedback in ipairs { "explicit", "implicit" } do
    it("scores by its definition for " .. feedback .. " feedback", function()
      local missing = 0
      for _, c in ipairs { { 20, 1, 1e-6 }, { 3, 1, 1e-6 }, { 3, 3, 0.3 }, { 1000, 2, 0.1 } } do
        local model = item_knn.train(matrix, {
          feedback = feedback, neighbours = c[1], least_neighbours = c[2], least_similarity = c[3], n_jobs = 1,
        })
        local expected = plainly.scores(matrix:t(), c[1], c[2], c[3], feedback)
        missing = missing + plainly.check(expected, batch.score(model):t())
      end
      assert.is_true(missing > 0)
    end)
  end

  it("scores a case worked by hand", function()
    -- Items 1 and 2 are liked and disliked together, item 3 the other way round.
    local small = lk.sparse.csr({ 1, 1, 1, 2, 2, 2, 3, 3 }, { 1, 2, 3, 1, 2, 3, 1, 3 }, { 5, 4, 1, 3, 2, 5, 4, 2 },
      { 3, 3 })
    local model = item_knn.train(small)
    -- Item 1 less 4: 1 -1 0; item 2 less 3: 1 -1; their cosine is 1.
    local columns, values = model.similarities:row(1)
    assert.same({ 2 }, columns:totable())
    assert.is_true(math.abs(values[1] - 1) < 1e-6)
    -- User 3 gave item 1 its mean, so item 2 gets its own; items 1 and 3 have no neighbour there.
    local scores = batch.predict(model, { 3, 3, 3 }, { 2, 1, 3 })
    assert.equal(3, scores[1])
    assert.is_true(scores[2] ~= scores[2] and scores[3] ~= scores[3])
  end)

  it("keeps the most similar items", function()
    local all = item_knn.train(matrix, { n_jobs = 1 })
    local some = item_knn.train(matrix, { keep = 4, n_jobs = 1 })
    assert.is_true(all.similarities.nnz > some.similarities.nnz)
    for item = 1, items do
      local _, values = all.similarities:row(item)
      local _, kept = some.similarities:row(item)
      assert.same(values:topk(math.min(4, #values)):totable(), kept:sort(true):totable())
    end
  end)

  it("is the same, bit by bit, for every number of workers", function()
    local wide = data.matrix(data.generate { users = 200, items = 300, ratings = 3000 }, { values = true })
    local first
    for _, n_jobs in ipairs { 1, 2, 3 } do
      local model = item_knn.train(wide, { n_jobs = n_jobs })
      local parts = { model.similarities:triplets() }
      first = first or parts
      for i, part in ipairs(parts) do assert.is_true(first[i]:equal(part)) end
    end
  end)

  it("scores some items, and recommends only what has a score", function()
    local model = item_knn.train(matrix, { least_similarity = 0.3 })
    local all = batch.score(model, { 7, 9 }, nil, { n_jobs = 1 })
    local some = batch.score(model, { 7, 9 }, { 40, 3, 3 }, { n_jobs = 1 })
    for i = 1, 2 do
      for j, item in ipairs { 40, 3, 3 } do
        assert.equal(tostring(all:get(i, item)), tostring(some:get(i, j)))
      end
    end
    local recommendations = batch.recommend(model, nil, { n = items, n_jobs = 2 })
    local everything, short = batch.score(model), 0
    for row = 1, users do
      local scored = 0
      for item = 1, items do
        local score = everything:get(row, item)
        if score == score then scored = scored + 1 end
      end
      for rank = 1, items do assert.equal(rank <= scored, recommendations.items:get(row, rank) > 0) end
      short = short + items - scored
    end
    assert.is_true(short > 0)
  end)

  it("takes matrices with empty rows and columns, or without any entry", function()
    for _, feedback in ipairs { "explicit", "implicit" } do
      for _, m in ipairs { lk.sparse.csr({}, {}, {}, { 3, 2 }), lk.sparse.csr({ 1 }, { 2 }, { 4 }, { 3, 4 }),
        lk.sparse.csr({}, {}, {}, { 0, 0 }) } do
        local model = item_knn.train(m, { feedback = feedback })
        assert.equal(0, model.similarities.nnz)
        assert.same({ m:size(1), m:size(2) }, { item_knn.size(model) })
        assert.same(m:size(), batch.score(model):size())
      end
    end
  end)

  it("leaves the matrix as it was, and counts items in a progress of the caller's", function()
    local before = matrix:values():clone()
    local progress <close> = lk.invoke_progress { total = items }
    item_knn.train(matrix, { progress = progress, n_jobs = 2 })
    assert.equal(items, progress.finished)
    assert.is_true(before:equal(matrix:values()))
  end)

  it("refuses what it cannot use", function()
    local function refused(options, expected)
      assert.has_error(function() item_knn.train(matrix, options) end, "lkrun: lkrec.knn.item.train: " .. expected)
    end
    refused({ feedback = "both" }, "feedback is 'both'; expected 'explicit' or 'implicit'")
    refused({ neighbours = 0 }, "neighbours is 0; expected an integer of 1 or more")
    refused({ neighbours = 2.5 }, "neighbours is 2.5; expected an integer of 1 or more")
    refused({ least_similarity = 0 }, "least_similarity is 0; expected a number above 0")
    refused({ k = 5 }, "unknown option 'k'; there are feedback, keep, least_neighbours, least_similarity, n_jobs, "
      .. "neighbours, progress")
  end)
end)

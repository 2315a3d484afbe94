-- Every model of lkrec, saved and loaded, is the model that it was.
local lk = require "lkrun"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local new_folder = require "tests.support.folder"

local ratings = data.generate { users = 40, items = 60, ratings = 600 }
local matrix = data.matrix(ratings, { values = true })
local models = {
  ["lkrec.popularity"] = { {} },
  ["lkrec.bias"] = { {} },
  ["lkrec.knn.item"] = { { feedback = "explicit" }, { feedback = "implicit", keep = 5 } },
  ["lkrec.knn.user"] = { { feedback = "explicit" }, { feedback = "implicit" } },
  ["lkrec.als.explicit"] = { { factors = 4, epochs = 2 } },
  ["lkrec.als.implicit"] = { { factors = 4, epochs = 2 } },
}

local folder
before_each(function() folder = new_folder() end)
after_each(function() folder:remove() end)

describe("a model of lkrec that was saved and loaded", function()
  for kind, variants in pairs(models) do
    it("recommends as before: " .. kind, function()
      for _, options in ipairs(variants) do
        local model = require(kind).train(matrix, options)
        local expected = batch.recommend(model, nil, { n = 7, exclude = matrix })
        for _, extension in ipairs { "lkz", "tar" } do
          local path = folder:path("model." .. extension)
          lk.save(path, model)
          local loaded = lk.load(path)
          assert.equal(kind, loaded.kind)
          for _, n_jobs in ipairs { 1, 2 } do
            local recommended = batch.recommend(loaded, nil, { n = 7, exclude = matrix, n_jobs = n_jobs })
            assert.is_true(expected.items:equal(recommended.items))
            assert.is_true(expected.scores:equal(recommended.scores))
          end
        end
      end
    end)
  end

  it("gives the same file for every number of workers", function()
    local files = {}
    for n_jobs = 1, 3 do
      lk.save(folder:path "model.lkz", require("lkrec.knn.item").train(matrix, { n_jobs = n_jobs }))
      files[n_jobs] = folder:read "model.lkz"
    end
    assert.is_true(files[1] == files[2] and files[2] == files[3])
  end)

  it("keeps ratings and their ids", function()
    local path = folder:path "ratings.lkz"
    lk.save(path, ratings)
    local loaded = lk.load(path)
    assert.same(ratings.user_ids, loaded.user_ids)
    assert.is_true(data.matrix(loaded, { values = true }):todense():equal(matrix:todense()))
  end)
end)

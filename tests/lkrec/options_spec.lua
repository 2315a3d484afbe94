-- Options: what is unknown, of another type or out of range is refused, by every function that takes some.
local lk = require "lkrun"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local metrics = require "lkrec.metrics"
local steps = require "lkrec.steps"

local ratings = data.from({ 1, 1, 2, 2 }, { 1, 2, 1, 2 }, { 5, 4, 3, 2 }, { 1, 2, 3, 4 }, { "u", "v" }, { "a", "b" })
local matrix = data.matrix(ratings, { values = true })
local popular = require("lkrec.popularity").train(matrix)

-- Functions that take options, each called with these options and with right values for all other arguments.
local functions = {
  ["data.load"] = function(options) return data.load("/nowhere.csv", options) end,
  ["data.generate"] = data.generate,
  ["data.split"] = function(options) return data.split(ratings, options) end,
  ["data.split_time"] = function(options) return data.split_time(ratings, options) end,
  ["data.folds"] = function(options) return data.folds(ratings, 2, options) end,
  ["data.matrix"] = function(options) return data.matrix(ratings, options) end,
  ["batch.recommend"] = function(options) return batch.recommend(popular, nil, options) end,
  ["batch.score"] = function(options) return batch.score(popular, nil, nil, options) end,
  ["batch.predict"] = function(options) return batch.predict(popular, { 1 }, { 1 }, options) end,
  ["metrics.evaluate"] = function(options)
    return metrics.evaluate({ users = { 1 }, items = lk.tensor.ones({ 1, 1 }, "i64") }, matrix, options)
  end,
  ["steps.operation"] = steps.operation,
}
for _, model in ipairs { "popularity", "bias", "als.explicit", "als.implicit", "knn.item", "knn.user" } do
  functions[model .. ".train"] = function(options) return require("lkrec." .. model).train(matrix, options) end
end

describe("options of lkrec", function()
  for name, func in pairs(functions) do
    it("that are unknown are refused by " .. name, function()
      local where = "lkrun: lkrec." .. name .. ": "
      assert.error_matches(function() func { epoch = 3 } end, "^" .. where .. "unknown option 'epoch'.*; there are %l")
      assert.error_matches(function() func { "epochs" } end, "^" .. where .. "unknown option %[1%]; there are %l")
      assert.has_error(function() func "fast" end, where .. "the options are a string; expected a table")
    end)
  end

  it("of steps are refused where they are unknown, those of models and generated ratings too", function()
    local folder <close> = require "tests.support.folder" ()
    local split, model = folder:path "split.lkz", folder:path "model.lkz"
    assert.error_matches(function() steps.split { output = split, generate = { user = 5 } } end,
      "lkrun: lkrec.data.generate: unknown option 'user' %(did you mean 'users'%?%); there are .*users")
    steps.split { output = split, generate = { users = 20, items = 20, ratings = 80 } }
    assert.has_error(function()
      steps.train { data = split, output = model, model = "popularity", options = { damping = 1 } }
    end, "lkrun: lkrec.popularity.train: unknown option 'damping'; there are none")
  end)
end)

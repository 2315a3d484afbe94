-- The steps of an experiment, from files to files.
local lk = require "lkrun"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local metrics = require "lkrec.metrics"
local popularity = require "lkrec.popularity"
local new_folder = require "tests.support.folder"
local steps = require "lkrec.steps"

local GENERATE <const> = { users = 60, items = 80, ratings = 900, seed = 4 }

describe("lkrec.steps", function()
  local folder
  before_each(function() folder = new_folder() end)
  after_each(function() folder:remove() end)

  local function path(name) return folder:path(name) end
  local function split(options)
    options = options or {}
    options.output, options.tasks, options.generate = path "split.lkz", path "tasks.csv", GENERATE
    options.seed = options.seed or 9
    steps.split(options)
  end

  it("split as lkrec.data does, and give every user to one task", function()
    split { block = 25 }
    local train, test = data.split(data.generate(GENERATE), { seed = 9 })
    local found = lk.load(path "split.lkz")
    assert.same(data.matrix(train, { values = true }):triplets():totable(), found.train:triplets():totable())
    assert.equal(#test.users, found.test.nnz)
    assert.equal("first,last\n1,25\n26,50\n51,60\n", folder:read "tasks.csv")
  end)

  it("go from ratings to the metrics that the library gives", function()
    split { block = 7 }
    steps.train { data = path "split.lkz", model = "popularity", output = path "model.lkz" }
    local operation = steps.operation { n = 5 }
    local model = operation.setup(lk.load(path "model.lkz"))
    local file <close> = io.open(path "list.csv", "w")
    file:write "user,rank,item,score\n"
    for first = 1, 60, 7 do
      for _, row in ipairs(operation.run(model, { first = first, last = math.min(first + 6, 60) })) do
        file:write(table.concat({ row.user, row.rank, row.item, row.score }, ","), "\n")
      end
    end
    file:close()
    steps.run("evaluate", lk.json.encode {
      data = path "split.lkz", recommendations = path "list.csv", output = path "means.json", n = 5,
    })

    local train, test = data.split(data.generate(GENERATE), { seed = 9 })
    local known = data.matrix(train)
    local recommendations = batch.recommend(popularity.train(known), nil, { n = 5, exclude = known, n_jobs = 1 })
    local expected = metrics.evaluate(recommendations, test, { n_jobs = 1 }).means
    for name, mean in pairs(lk.json.decode(folder:read "means.json")) do
      assert.near(expected[name], mean, 1e-12)
    end
  end)

  it("train models for ratings on what they say", function()
    split()
    steps.train { data = path "split.lkz", model = "bias", output = path "bias.lkz", options = { user_damping = 1 } }
    local trained = lk.load(path "bias.lkz").model
    assert.equal(lk.load(path "split.lkz").train:values():mean(), trained.mean)
  end)

  it("refuse what they do not know", function()
    split()
    local function refused(expected, ...)
      local good, message = pcall(...)
      assert.is_false(good)
      assert.truthy(tostring(message):find(expected, 1, true), message)
    end
    refused("train: there is no model 'guess'", steps.train,
      { data = path "split.lkz", model = "guess", output = path "x.lkz" })
    refused("split: unknown option 'outptu'", steps.split, { outptu = "x" })
    refused("split: output is missing; expected a string", steps.split, {})
    refused("operation: the model is not a model that steps.train wrote", steps.operation().setup, {})
    refused("operation: the task is not a range of users", steps.operation().run, {}, { user = "1" })
    refused("run: 'guess' is not a step", steps.run, "guess", "{}")
    local file <close> = io.open(path "list.csv", "w")
    file:write("user,rank,item\n1,1,nothing\n"):close()
    refused("list.csv:2: expected user, rank and item of this experiment", steps.evaluate,
      { data = path "split.lkz", recommendations = path "list.csv", output = path "x.json" })
  end)
end)

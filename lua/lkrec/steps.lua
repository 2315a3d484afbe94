--- The steps of an experiment, each of which reads files and writes files; the rules of a workflow call them.
---
--- Between train and evaluate, `lkrun map` makes the recommendations; `steps.operation` gives its operation.
local lk = require "lkrun"
local fail = require "lkrun.internal.fail"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local metrics = require "lkrec.metrics"
local options_of = require("lkrun.internal.options").checker

---@class lkrec.steps
local steps = {}

-- Models that are trained on the values of ratings; the others are trained on who has what.
local trained_on_values = {
  ["als.explicit"] = true, bias = true, ["knn.item"] = true, ["knn.user"] = true,
}

local text, number, tree = { type = "string" }, { type = "number" }, { type = "table" }
local needed = { type = "string", required = true }

local check_split = options_of("lkrec.steps.split", {
  output = needed, tasks = text, block = number, ratings = text, generate = tree, columns = tree, method = text,
  fraction = number, count = number, seed = number,
})

---@class lkrec.SplitStep
---@field output string # where the data go, .lkz
---@field tasks? string # where the tasks of `lkrun map` go, .csv: ranges of users
---@field block? integer # users a task; default 50
---@field ratings? string # what lkrec.data.load reads; default: generated ratings
---@field generate? table # options of lkrec.data.generate
---@field columns? table # of lkrec.data.load
---@field method? string # this and the following: of lkrec.data.split
---@field fraction? number
---@field count? integer
---@field seed? integer # of the split, and of generated ratings that have none of their own

--- Loads or generates ratings and splits them; writes both parts, and the tasks of `lkrun map`.
---@param options lkrec.SplitStep
-- Raises for options and ratings that can't be used.
function steps.split(options)
  options = check_split(options)
  local generate = options.generate or {}
  generate.seed = generate.seed or options.seed
  local ratings = options.ratings and data.load(options.ratings, { columns = options.columns })
    or data.generate(generate)
  local train, test = data.split(ratings, {
    method = options.method, fraction = options.fraction, count = options.count, seed = options.seed,
  })
  if #test.users == 0 then
    fail("lkrec.steps.split", "no user has two ratings or more; there is nothing to test with")
  end
  lk.save(options.output, {
    train = data.matrix(train, { values = true }), test = data.matrix(test, { values = true }),
    user_ids = ratings.user_ids, item_ids = ratings.item_ids,
  })
  if options.tasks then
    local block, last = options.block or 50, 0
    lk.rows.write(options.tasks, function()
      local first = last + 1
      last = math.min(last + block, #ratings.user_ids)
      return first <= #ratings.user_ids and { first, last } or nil
    end, { columns = { "first", "last" } })
  end
  lk.log.get("split"):info("%d users, %d items, %d ratings to train on, %d to test with",
    #ratings.user_ids, #ratings.item_ids, #train.users, #test.users)
end

local check_operation = options_of("lkrec.steps.operation", { n = { default = 10, integer = true, least = 1 } })

local function with_ones(matrix)
  local users, items = matrix:triplets()
  return lk.sparse.csr(users, items, lk.tensor.ones({ matrix.nnz }, "f32"), matrix:size())
end

local check_train = options_of("lkrec.steps.train", { data = needed, output = needed, model = needed, options = tree })

---@class lkrec.TrainOptions
---@field data string # what steps.split wrote
---@field output string # where the model goes, .lkz
---@field model string # the module, without `lkrec.`: "popularity", "als.implicit"
---@field options? table # of its `train`

--- Trains a model, and writes it together with what is needed to recommend.
---@param options lkrec.TrainOptions
-- Raises for an unknown model, and for options and data that can't be used.
function steps.train(options)
  options = check_train(options)
  local found, module = pcall(require, "lkrec." .. options.model)
  if not found then
    if not tostring(module):find("module 'lkrec." .. options.model .. "' not found", 1, true) then error(module, 0) end
  end
  if not found or type(module) ~= "table" or not module.train then
    fail("lkrec.steps.train", "there is no model '%s'; expected a module of lkrec with a function train", options.model)
  end
  local split = lk.load(options.data)
  local matrix = trained_on_values[options.model] and split.train or with_ones(split.train)
  local start = lk.clock()
  local model = module.train(matrix, options.options)
  lk.log.get("train"):info("%s in %.2f s", options.model, lk.clock() - start)
  lk.save(options.output, {
    model = model, known = split.train, user_ids = split.user_ids, item_ids = split.item_ids,
  })
end

--- The operation for `lkrun map --model MODEL.lkz`. A task is a range of users, {first =, last =}; its result
--- is the rows user, rank, item, score of the best items that each user does not have.
---@param options? {n?: integer} # items a user; default 10
---@return {setup: function, run: function, columns: string[]}
function steps.operation(options)
  local n = check_operation(options).n
  return {
    columns = { "user", "rank", "item", "score" },
    setup = function(trained)
      if type(trained) ~= "table" or not trained.model then
        fail("lkrec.steps.operation", "the model is not a model that steps.train wrote; expected --model MODEL.lkz")
      end
      return trained
    end,
    run = function(trained, task)
      local users = { first = math.tointeger(task.first), last = math.tointeger(task.last) }
      if not (users.first and users.last) then
        fail("lkrec.steps.operation", "the task is not a range of users; expected the columns first and last")
      end
      local rows = {}
      local recommendations = batch.recommend(trained.model, users, { n = n, exclude = trained.known, n_jobs = 1 })
      for user, rank, item, score in batch.each(recommendations) do
        rows[#rows + 1] = {
          user = trained.user_ids[user], rank = rank, item = trained.item_ids[item], score = score,
        }
      end
      return rows
    end,
  }
end

-- The index of each id, by the id as text.
local function numbering(ids)
  local index = {}
  for i, id in ipairs(ids) do index[tostring(id)] = i end
  return index
end

-- Reads recommendations from a file, in the form that lkrec.batch returns them, with n places for each user.
local function read_recommendations(path, split, n)
  local user_of, item_of = numbering(split.user_ids), numbering(split.item_ids)
  local users, row_of, items
  local records = lk.rows.read(path, { format = "csv", header = false, delimiter = "" })
  local _, header = records()
  local column = {}
  for at, name in ipairs(header or {}) do column[name] = at end
  if not (column.user and column.rank and column.item) then
    fail("lkrec.steps.evaluate", "%s: its columns are %s; expected user, rank and item among them", path,
      table.concat(header or {}, ", "))
  end
  users, row_of, items = {}, {}, {}
  for line, record in records do
    local user, item = user_of[record[column.user]], item_of[record[column.item]]
    local rank = math.tointeger(tonumber(record[column.rank]))
    if not (user and item and rank and rank >= 1) then
      fail("lkrec.steps.evaluate", "%s:%d: expected user, rank and item of this experiment", path, line)
    end
    if not row_of[user] then
      users[#users + 1], row_of[user] = user, {}
    end
    if rank <= n then row_of[user][rank] = item end
  end
  for i, user in ipairs(users) do
    items[i] = {}
    for rank = 1, n do items[i][rank] = row_of[user][rank] or 0 end
  end
  return { users = users, items = lk.tensor.from(items, "i64") }
end

local check_evaluate = options_of("lkrec.steps.evaluate", {
  data = needed, recommendations = needed, output = needed, n = number,
})

---@class lkrec.EvaluateStep
---@field data string # what steps.split wrote
---@field recommendations string # a CSV file with the columns user, rank and item
---@field output string # where the means go, .json: metric → mean
---@field n? integer # places that count; default 10

--- Measures recommendations by the test part of the ratings.
---@param options lkrec.EvaluateStep
-- Raises for files that can't be used.
function steps.evaluate(options)
  options = check_evaluate(options)
  local n = options.n or 10
  local split = lk.load(options.data)
  local recommendations = read_recommendations(options.recommendations, split, n)
  local evaluation = metrics.evaluate(recommendations, split.test, { k = n })
  local file <close> = assert(io.open(options.output, "w"))
  assert(file:write(lk.json.encode(evaluation.means, { indent = 2 }), "\n"))
  lk.log.get("evaluate"):info("%d users, nDCG %.4f", #evaluation.users, evaluation.means.ndcg)
end

--- Runs a step from a shell: lkrun -e 'require("lkrec.steps").run(...)' train '{"data": "split.lkz", …}'
---@param name string # split, train or evaluate
---@param options string # a JSON object: the step's options
-- Raises for an unknown name, for text that is no JSON object, and as the step does.
function steps.run(name, options)
  local known = { split = steps.split, train = steps.train, evaluate = steps.evaluate }
  if not known[name] then
    fail("lkrec.steps.run", "'%s' is not a step; expected split, train or evaluate", tostring(name))
  end
  local value = lk.json.decode(options or "{}")
  if type(value) ~= "table" then fail("lkrec.steps.run", "the options are '%s'; expected a JSON object", options) end
  known[name](value)
end

return steps

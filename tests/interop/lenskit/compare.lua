-- Trains the models of lkrec and those of LensKit on one split of one set of ratings, with the same
-- parameters, and compares what they score, recommend, and measure: make compare-lenskit.
--
--     lkrun tests/interop/lenskit/compare.lua PYTHON [RATINGS]
--
-- Prints the tables of docs/lkrec-comparison.md, and fails where a tolerance is not kept.
local lk = require "lkrun"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local metrics = require "lkrec.metrics"

local N = 10 -- items that are recommended
local python = assert(arg[1], "compare.lua: the Python with LensKit is expected")

-- The ratings to compare on: a file, or nil for generated ones.
local function find_ratings()
  for _, path in ipairs { arg[2] or "", os.getenv "LKRUN_RATINGS" or "",
    "../shared/data/ml-latest-small/ratings.csv" } do
    local found <close> = path ~= "" and io.open(path) or nil
    if found then return path end
  end
end

-- The parameters of each model. `apart` is the part of all scores that may differ by more than 0.001,
-- or be there in one and not in the other: neighbours of equal similarity are ordered by rounding.
local models = {
  { name = "popularity", kind = "popularity", apart = 0 },
  { name = "bias", kind = "bias", apart = 0, user_damping = 5, item_damping = 5 },
  { name = "item-item, ratings", kind = "knn.item", apart = 0.002, feedback = "explicit" },
  { name = "item-item, implicit", kind = "knn.item", apart = 1e-4, feedback = "implicit" },
  { name = "user-user, ratings", kind = "knn.user", apart = 0.002, feedback = "explicit" },
  { name = "user-user, implicit", kind = "knn.user", apart = 1e-4, feedback = "implicit" },
  {
    name = "ALS, ratings", kind = "als.explicit", apart = 1e-4,
    factors = 50, epochs = 10, regularization = 0.1, user_damping = 5, item_damping = 5,
  },
  {
    name = "ALS, implicit", kind = "als.implicit", apart = 1e-4,
    factors = 50, epochs = 10, regularization = 0.1, weight = 40,
  },
}
for _, model in ipairs(models) do
  if model.kind:find "^knn" then
    model.neighbours, model.least_neighbours, model.least_similarity = 20, 1, 1e-6
  end
end

local function parameters_of(model)
  local options = {}
  for key, value in pairs(model) do
    if key ~= "name" and key ~= "apart" and key ~= "kind" then options[key] = value end
  end
  return options
end

-- ---- One side ----

local pipe <close> = assert(io.popen "mktemp -d")
local folder = pipe:read "l"
local _ <close> = setmetatable({}, { __close = function() os.execute("rm -rf '" .. folder .. "'") end })
local function file(name) return folder .. "/" .. name end

local path = find_ratings()
local ratings = path and data.load(path) or data.generate()
local train, test = data.split(ratings, { fraction = 0.2, seed = 1 })
local users, items = #ratings.user_ids, #ratings.item_ids

local function write_ratings(name, part)
  local i = 0
  lk.rows.write(file(name .. ".csv"), function()
    i = i + 1
    return part.users[i] and { part.users[i], part.items[i], part.values[i] } or nil
  end, { columns = { "user", "item", "rating" } })
end
write_ratings("train", train)
write_ratings("test", test)

-- Items of the training part: LensKit does not know others.
local in_train = {}
for _, item in ipairs(train.items) do in_train[item] = true end

-- Factors of the items to begin with, as each model draws them; 0 for items that LensKit does not know.
local function initial_factors(model)
  local drawn = lk.tensor.zeros({ items, model.factors }, "f32")
  local stream = lk.random.stream(1)
  for item = 1, items do
    local row = drawn:select(1, item)
    for k = 1, model.factors do row:set(k, stream:normal()) end
    row:mul(not in_train[item] and 0 or model.kind == "als.explicit" and 1 / row:norm() or 0.01)
  end
  return drawn
end

local values, known = data.matrix(train, { values = true }), data.matrix(train)
local settings = { users = users, items = items, n = N, models = {} }
for _, model in ipairs(models) do
  local options = parameters_of(model)
  settings.models[model.name] = parameters_of(model)
  settings.models[model.name].kind = model.kind
  if model.kind:find "^als" then
    options.initial = initial_factors(model)
    lk.save(file(model.name .. ".initial.npy"), options.initial)
  end
  local begin = lk.clock()
  local trained = require("lkrec." .. model.kind).train(model.kind == "als.implicit" and known or values, options)
  local done = lk.clock()
  model.scores = batch.score(trained)
  model.seconds = { train = done - begin, score = lk.clock() - done }
  model.recommended = batch.recommend(trained, nil, { n = N, exclude = known })
  model.predicted = batch.predict(trained, test.users, test.items)
  lk.save(file(model.name .. ".items.npy"), model.recommended.items)
  lk.save(file(model.name .. ".predicted.npy"), model.predicted)
end
do
  local settings_file <close> = assert(io.open(file "settings.json", "w"))
  assert(settings_file:write(lk.json.encode(settings)))
end

-- ---- The other side ----

local script = arg[0]:gsub("compare%.lua$", "lenskit_models.py")
assert(os.execute(("'%s' '%s' '%s'"):format(python, script, folder)))
local lenskit = lk.json.decode(assert(io.open(file "lenskit.json")):read "a")

-- ---- Comparing ----

local failures = {}
local function require_that(kept, ...)
  if not kept then failures[#failures + 1] = string.format(...) end
end

-- How far two tensors of scores are apart: the median and the greatest difference where both have
-- one, and the part of all that differs by more than 0.001 or is there in one alone.
local function distance(a, b)
  local differences, apart, total = {}, 0, 0
  for user = 1, users do
    local x, y = a:select(1, user):totable(), b:select(1, user):totable()
    for item = 1, items do
      if in_train[item] then
        local has_x, has_y = x[item] == x[item], y[item] == y[item]
        total = total + 1
        if has_x and has_y then
          local difference = math.abs(x[item] - y[item])
          differences[#differences + 1] = difference
          if difference > 1e-3 then apart = apart + 1 end
        elseif has_x ~= has_y then
          apart = apart + 1
        end
      end
    end
  end
  local sorted = lk.tensor.from(differences):sort()
  return sorted[(#sorted + 1) // 2], sorted[#sorted], apart / total
end

-- The part of all recommended items that both recommend to a user.
local function overlap(a, b)
  local common = 0
  for user = 1, users do
    local has = {}
    for rank = 1, N do has[a:get(user, rank)] = true end
    for rank = 1, N do common = common + (has[b:get(user, rank)] and 1 or 0) end
  end
  return common / (users * N)
end

-- The errors of both over the pairs that both can score.
local function errors(model, scores)
  local ours, theirs, said = {}, {}, {}
  for i = 1, #test.users do
    local x, y = model.predicted[i], scores:get(test.users[i], test.items[i])
    if x == x and y == y then ours[#ours + 1], theirs[#theirs + 1], said[#said + 1] = x, y, test.values[i] end
  end
  return metrics.rmse(ours, said), metrics.rmse(theirs, said)
end

local function predicts_ratings(model)
  return model.kind == "bias" or model.kind == "als.explicit" or model.feedback == "explicit"
end

local relevant = data.matrix(test, { values = true })

-- A row of the table, and what it must keep to.
local function compare(model)
  local scores = lk.load(file(model.name .. ".lenskit.scores.npy"))
  local lists = {
    users = lk.tensor.arange(1, users, "i64"), items = lk.load(file(model.name .. ".lenskit.items.npy")),
  }
  local median, greatest, apart = distance(model.scores, scores)
  require_that(apart <= model.apart, "%s: %.3f %% of the scores are apart, more than %.3f %%", model.name,
    100 * apart, 100 * model.apart)
  local ndcg = metrics.evaluate(model.recommended, relevant).means.ndcg
  local theirs = metrics.evaluate(lists, relevant).means.ndcg
  require_that(math.abs(ndcg - theirs) < 0.001, "%s: nDCG %.4f, LensKit's %.4f", model.name, ndcg, theirs)
  local error_columns = " | "
  if predicts_ratings(model) then
    local ours, others = errors(model, scores)
    require_that(math.abs(ours - others) < 0.001, "%s: RMSE %.5f, LensKit's %.5f", model.name, ours, others)
    error_columns = ("%.4f | %.4f"):format(ours, others)
  end
  print(("| %s | %.1e | %.1e | %.3f %% | %.1f %% | %.4f | %.4f | %s |"):format(model.name, median, greatest,
    100 * apart, 100 * overlap(model.recommended.items, lists.items), ndcg, theirs, error_columns))
end

print(("LensKit %s; %d users, %d items, %d ratings to train on, %d to test with\n")
  :format(lenskit.version, users, items, #train.users, #test.users))
print "| model | median difference | greatest | apart | in common | nDCG@10 | LensKit's | RMSE | LensKit's |"
print "|---|---|---|---|---|---|---|---|---|"
for _, model in ipairs(models) do compare(model) end

-- The metrics, of lkrun's lists that are full, and of its predictions, by both.
print "\n| metric | of | lkrun | LensKit | difference |"
print "|---|---|---|---|---|"
for _, model in ipairs(models) do
  local full = { users = {}, items = {} }
  for user = 1, users do
    if model.recommended.items:get(user, N) > 0 then
      full.users[#full.users + 1] = user
      full.items[#full.items + 1] = model.recommended.items:select(1, user):totable()
    end
  end
  full.items = lk.tensor.from(full.items, "i64")
  local means = metrics.evaluate(full, relevant).means
  means.rmse, means.mae = metrics.rmse(model.predicted, test.values), metrics.mae(model.predicted, test.values)
  local measured = lenskit[model.name].metrics
  local worst = 0
  for name, value in pairs(measured) do worst = math.max(worst, math.abs(value - means[name])) end
  require_that(worst < 1e-9, "%s: a metric differs by %.1e", model.name, worst)
  if model.kind == "bias" or model.kind == "als.implicit" then
    for _, name in ipairs { "ndcg", "graded_ndcg", "recall", "precision", "hit_rate", "reciprocal_rank",
      "average_precision", "rbp", "rmse", "mae" } do
      print(("| %s | %s | %.6f | %.6f | %.0e |"):format(name, model.name, means[name], measured[name],
        math.abs(means[name] - measured[name])))
    end
  end
end

print "\n| model | train, s | LensKit | score all, s | LensKit |"
print "|---|---|---|---|---|"
for _, model in ipairs(models) do
  local seconds = lenskit[model.name].seconds
  print(("| %s | %.2f | %.2f | %.2f | %.2f |"):format(model.name, model.seconds.train, seconds.train,
    model.seconds.score, seconds.score))
end

for _, failure in ipairs(failures) do io.stderr:write("compare.lua: ", failure, "\n") end
if #failures > 0 then os.exit(1, true) end

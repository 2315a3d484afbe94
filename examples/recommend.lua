-- Recommends items to every user: trains models on ratings, on all CPUs, and measures how good they are.
--
--     lkrun examples/recommend.lua
--     lkrun examples/recommend.lua --ratings path/to/ratings.csv --n 20 --output results
--
-- Four fifths of each user's ratings are for training, the rest for testing. Two models are trained,
-- popularity and matrix factorization by alternating least squares (ALS). Each recommends items to
-- every user that the user has not rated yet. The metrics say how much of the test part it found, and
-- how early in the list.
local lk = require "lkrun"
local als = require "lkrec.als.implicit"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local metrics = require "lkrec.metrics"
local popularity = require "lkrec.popularity"

-- The options and their defaults. A value on the command line must have the type of the default.
local options = {
  ratings = "", -- a CSV file with the columns of MovieLens; without one, ratings are generated
  output = "recommendations", -- the folder for recommendations and metrics
  factors = 32, -- number of factors of the ALS model
  epochs = 10, -- passes of its training over the ratings
  n = 10, -- items to recommend to each user
  jobs = lk.proc_count(), -- worker processes
  seed = 1, -- seed of everything that is random
  quiet = false, -- no progress bars
}
local at = 1
while arg[at] do
  local name, value = arg[at]:match "^%-%-(%a+)$", arg[at + 1]
  local kind = type(options[name])
  if kind == "number" then value = math.tointeger(tonumber(value)) end
  if kind == "boolean" then value, at = true, at - 1 end
  if kind == "nil" or not value then
    io.stderr:write(("recommend.lua: '%s %s' is not an option; expected --ratings FILE, --output DIR, --quiet, or "
      .. "--factors, --epochs, --n, --jobs, --seed with an integer\n"):format(arg[at], arg[at + 1] or ""))
    os.exit(2, true)
  end
  options[name], at = value, at + 2
end

-- Ratings, split for each user.
local ratings = options.ratings ~= "" and data.load(options.ratings) or data.generate { seed = options.seed }
local train, test = data.split(ratings, { fraction = 0.2, seed = options.seed })
if #test.users == 0 then error("no user has two ratings or more: there is nothing to test with", 0) end
local known = data.matrix(train) -- [users, items]

-- Train.
local models = {
  { name = "popularity", model = popularity.train(known) },
  {
    name = "ALS",
    model = als.train(known, {
      factors = options.factors, epochs = options.epochs, seed = options.seed,
      n_jobs = options.jobs, progress = not options.quiet,
    }),
  },
}

-- Recommend to every user, and evaluate.
for _, entry in ipairs(models) do
  entry.recommendations = batch.recommend(entry.model, nil, {
    n = options.n, exclude = known, n_jobs = options.jobs, progress = not options.quiet,
  })
  entry.evaluation = metrics.evaluate(entry.recommendations, test)
end

-- Show.
print(("%d users, %d items, %d ratings to train on, %d to test with; the best %d for each user:")
  :format(#ratings.user_ids, #ratings.item_ids, #train.users, #test.users, options.n))
print(("%-18s %11s %11s"):format("", models[1].name, models[2].name))
for _, metric in ipairs(metrics.names) do
  print(("%-18s %11.4f %11.4f")
    :format(metric, models[1].evaluation.means[metric], models[2].evaluation.means[metric]))
end

-- Write.
os.execute("mkdir -p -- '" .. options.output:gsub("'", [['\'']]) .. "'")
local lists = batch.each(models[2].recommendations)
lk.rows.write(options.output .. "/recommendations.csv", function()
  local user, rank, item, score = lists()
  return user and { ratings.user_ids[user], rank, ratings.item_ids[item], score }
end, { columns = { "user", "rank", "item", "score" } })

local means, rows = {}, {}
for _, entry in ipairs(models) do
  means[entry.name] = entry.evaluation.means
  for _, metric in ipairs(metrics.names) do
    rows[#rows + 1] = { entry.name, metric, entry.evaluation.means[metric] }
  end
end
lk.rows.write(options.output .. "/metrics.csv", rows, { columns = { "model", "metric", "mean" } })
local file <close> = assert(io.open(options.output .. "/metrics.json", "w"))
assert(file:write(lk.json.encode(means, { indent = 2 }), "\n"))

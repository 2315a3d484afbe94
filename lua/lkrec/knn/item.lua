--- Item-item neighbourhoods: the score of an item for a user follows from the user's ratings of similar items.
---
--- M. Deshpande, G. Karypis: Item-based top-N recommendation algorithms. ACM TOIS 22(1), 2004, section
--- 4; for ratings B. Sarwar, G. Karypis, J. Konstan, J. Riedl: Item-based collaborative filtering
--- recommendation algorithms. WWW 2001, section 3. The similarity s_ij of two items is the cosine of
--- their columns, from which, for ratings, the item's mean m_i has been taken. N(u, i) are the k items
--- most similar to i that the user has, of those with at least a least similarity. The score of i is
---
---     explicit:  m_i + Σ s_ij (r_uj - m_j) / Σ s_ij        implicit:  Σ s_ij        j in N(u, i)
---
--- Of equally similar items the one of lower index is nearer.
local lk = require "lkrun"
local options_of = require("lkrun.internal.options").checker
local vectors = require "lkrec.knn.vectors"

---@class lkrec.knn.item
local item_knn = {}

local KIND = "lkrec.knn.item"

---@class lkrec.knn.item.Model
---@field kind "lkrec.knn.item"
---@field similarities lkrun.Sparse # [items, items], f32
---@field ratings lkrun.Sparse # [users, items], f32: less the items' means, or 1 each
---@field means? lkrun.Tensor # [items], f32; nil for implicit feedback
---@field neighbours integer # k
---@field least_neighbours integer

---@class lkrec.knn.item.Options
---@field feedback? "explicit"|"implicit" # ratings, or who has what; default "explicit"
---@field neighbours? integer # k: at most so many count; default 20
---@field least_neighbours? integer # with fewer there is no score; default 1
---@field least_similarity? number # of neighbours, above 0; default 1e-6
---@field keep? integer # the most similar items that the model keeps for each; default: all
---@field n_jobs? integer # worker threads; default: lk.config().threads
---@field progress? lkrun.Progress|boolean # counts items; true: a bar of its own

local check = options_of("lkrec.knn.item.train", {
  feedback = { default = "explicit", choices = { "explicit", "implicit" } },
  neighbours = { default = 20, integer = true, least = 1 },
  least_neighbours = { default = 1, integer = true, least = 1 },
  least_similarity = { default = 1e-6, above = 0 },
  keep = { integer = true, least = 1 },
  n_jobs = { any = true },
  progress = { any = true },
})

-- The operation: the similarities of a range of items.
local function similar_items(shared, range)
  local rows = lk.tensor.arange(range[1], range[2], "i64")
  return vectors.similarities(rows, shared.by_item, shared.by_user, shared.least, shared.keep)
end

local function all_similarities(by_item, options)
  local items = by_item:size(1)
  local shared = {
    by_item = by_item, by_user = by_item:t(), least = options.least_similarity, keep = options.keep,
  }
  local bar <close> = options.progress == true and lk.invoke_progress {
    label = "item-item", total = items, unit = "items",
  } or nil
  local progress = bar or options.progress
  local ranges, parts = lk.WorkChunks.create(items), {}
  for i, part in lk.map(shared, similar_items, ranges, { n_jobs = options.n_jobs, workers = "threads" }) do
    parts[i] = part
    if progress then progress:update(ranges[i][2] - ranges[i][1] + 1) end
  end
  return #parts > 0 and lk.sparse.stack(parts) or by_item:mm(by_item:t())
end

--- Trains a model on all CPUs, in worker threads. The result is the same for every n_jobs.
---@param matrix lkrun.Sparse # [users, items]: ratings; for implicit feedback the values do not count
---@param options? lkrec.knn.item.Options
---@return lkrec.knn.item.Model
-- Raises for an unknown option or one out of range.
function item_knn.train(matrix, options)
  options = check(options)
  local explicit = options.feedback == "explicit"
  local by_item = vectors.copy(matrix:t(), explicit)
  local means = explicit and vectors.center(by_item) or nil
  local ratings = by_item:t()
  return {
    kind = KIND, means = means, ratings = ratings,
    similarities = all_similarities(vectors.normalize(by_item), options),
    neighbours = options.neighbours, least_neighbours = options.least_neighbours,
  }
end

--- How many users and items the model knows.
---@param model lkrec.knn.item.Model
---@return integer users
---@return integer items
function item_knn.size(model) return model.ratings:size(1), model.ratings:size(2) end

--- The scores of items for some users.
---@param model lkrec.knn.item.Model
---@param users integer[]|lkrun.Tensor # user indices
---@param items? integer[]|lkrun.Tensor # item indices; nil: all
---@return lkrun.Tensor # [#users, #items], f32; not-a-number where there are too few neighbours
function item_knn.scores(model, users, items)
  local sums, weights = model.ratings:index(users)
    :top_products(model.similarities, model.neighbours, "right", model.least_neighbours, items)
  local scores = weights
  if model.means then
    local means = items and model.means:index(items) or model.means
    scores = sums:div(weights):add(means:view(1, #means):expand(sums:size()))
  end
  return scores
end

return item_knn

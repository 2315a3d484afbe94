--- User-user neighbourhoods: the score of an item for a user follows from the ratings of similar users.
---
--- P. Resnick, N. Iacovou, M. Suchak, P. Bergstrom, J. Riedl: GroupLens: an open architecture for
--- collaborative filtering of netnews. CSCW 1994; J. Herlocker, J. Konstan, J. Riedl: An empirical
--- analysis of design choices in neighborhood-based collaborative filtering algorithms. Information
--- Retrieval 5(4), 2002. The similarity s_uv of two users is the cosine of their rows, from which, for
--- ratings, the user's mean m_u has been taken. N(u, i) are the k users most similar to u that have i,
--- of those with at least a least similarity. The score of i is
---
---     explicit:  m_u + Σ s_uv (r_vi - m_v) / Σ s_uv        implicit:  Σ s_uv        v in N(u, i)
---
--- Of equally similar users the one of lower index is nearer.
local options_of = require("lkrun.internal.options").checker
local vectors = require "lkrec.knn.vectors"

---@class lkrec.knn.user
local user_knn = {}

local KIND = "lkrec.knn.user"

---@class lkrec.knn.user.Model
---@field kind "lkrec.knn.user"
---@field vectors lkrun.Sparse # [users, items], f32: rows of unit length
---@field by_item lkrun.Sparse # [items, users], f32: the same
---@field ratings lkrun.Sparse # [users, items], f32: less the users' means, or 1 each
---@field means? lkrun.Tensor # [users], f32; nil for implicit feedback
---@field neighbours integer # k
---@field least_neighbours integer
---@field least_similarity number

---@class lkrec.knn.user.Options
---@field feedback? "explicit"|"implicit" # ratings, or who has what; default "explicit"
---@field neighbours? integer # k: at most so many count; default 20
---@field least_neighbours? integer # with fewer there is no score; default 1
---@field least_similarity? number # of neighbours, above 0; default 1e-6

local check = options_of("lkrec.knn.user.train", {
  feedback = { default = "explicit", choices = { "explicit", "implicit" } },
  neighbours = { default = 20, integer = true, least = 1 },
  least_neighbours = { default = 1, integer = true, least = 1 },
  least_similarity = { default = 1e-6, above = 0 },
})

--- Makes a model: who is similar to whom is found when scores are asked for.
---@param matrix lkrun.Sparse # [users, items]: ratings; for implicit feedback the values do not count
---@param options? lkrec.knn.user.Options
---@return lkrec.knn.user.Model
-- Raises for an unknown option or one out of range.
function user_knn.train(matrix, options)
  options = check(options)
  local explicit = options.feedback == "explicit"
  local ratings = vectors.copy(matrix, explicit)
  local means = explicit and vectors.center(ratings) or nil
  local unit = vectors.normalize(vectors.copy(ratings))
  return {
    kind = KIND, vectors = unit, by_item = unit:t(), ratings = ratings, means = means,
    neighbours = options.neighbours, least_neighbours = options.least_neighbours,
    least_similarity = options.least_similarity,
  }
end

--- How many users and items the model knows.
---@param model lkrec.knn.user.Model
---@return integer users
---@return integer items
function user_knn.size(model) return model.ratings:size(1), model.ratings:size(2) end

--- The scores of items for some users.
---@param model lkrec.knn.user.Model
---@param users integer[]|lkrun.Tensor # user indices
---@param items? integer[]|lkrun.Tensor # item indices; nil: all
---@return lkrun.Tensor # [#users, #items], f32; not-a-number where there are too few neighbours
function user_knn.scores(model, users, items)
  local similar = vectors.similarities(users, model.vectors, model.by_item, model.least_similarity)
  local sums, weights = similar
    :top_products(model.ratings, model.neighbours, "left", model.least_neighbours, items)
  local scores = weights
  if model.means then
    scores = sums:div(weights):add(model.means:index(users):view(#users, 1):expand(sums:size()))
  end
  return scores
end

return user_knn

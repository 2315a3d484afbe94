--- Scores a pair by how much its user's and its item's other ratings lie above the mean.
---
---     b(u, i) = g + b_u + b_i
---
--- g is the mean of all ratings. b_i is the sum of the differences of the item's ratings from g, divided by
--- their number plus the damping; b_u the same for the user's ratings and g + b_i. Damping works like so many
--- additional ratings that equal the mean. Y. Koren: Factor in the neighbors: scalable and accurate
--- collaborative filtering. ACM TKDD 4(1), 2010, section 2.1; S. Funk: Netflix update: try this at home. 2006.
local lk = require "lkrun"
local fail = require "lkrun.internal.fail"
local options_of = require("lkrun.internal.options").checker

---@class lkrec.bias
local bias = {}

local KIND = "lkrec.bias"

---@class lkrec.bias.Model
---@field kind "lkrec.bias"
---@field mean number # g
---@field user_offsets lkrun.Tensor # [users], f32: b_u; 0 for a user without ratings
---@field item_offsets lkrun.Tensor # [items], f32: b_i; 0 for an item without ratings

---@class lkrec.bias.Options
---@field user_damping? number # ratings, at least 0; default 5
---@field item_damping? number # ratings, at least 0; default 5

local check = options_of("lkrec.bias.train", {
  user_damping = { default = 5, least = 0 },
  item_damping = { default = 5, least = 0 },
})

-- For each row the damped mean of the differences of its values from `mean` plus the offsets of their columns.
local function damped_means(matrix, mean, damping, offsets)
  local result = lk.tensor.zeros({ matrix:size(1) }, "f32")
  for row, columns, values in matrix:rows() do
    local count = #columns
    if count > 0 then
      local excess = values:sum() - count * mean
      if offsets then excess = excess - offsets:index(columns):sum() end
      result:set(row, excess / (count + damping))
    end
  end
  return result
end

--- Trains a model.
---@param matrix lkrun.Sparse # [users, items]: the ratings
---@param options? lkrec.bias.Options
---@return lkrec.bias.Model
-- Raises for an unknown option or one out of range, and for a matrix without ratings.
function bias.train(matrix, options)
  options = check(options)
  if matrix.nnz == 0 then
    fail("lkrec.bias.train", "the matrix has no entries; expected at least one rating")
  end
  local mean = matrix:values():mean()
  local item_offsets = damped_means(matrix:t(), mean, options.item_damping)
  return {
    kind = KIND, mean = mean, item_offsets = item_offsets,
    user_offsets = damped_means(matrix, mean, options.user_damping, item_offsets),
  }
end

--- How many users and items the model knows.
---@param model lkrec.bias.Model
---@return integer users
---@return integer items
function bias.size(model) return #model.user_offsets, #model.item_offsets end

--- The model as factors, of which a score is the product: {g + b_u, 1} and {1, b_i}.
---@param model lkrec.bias.Model
---@return lkrun.Tensor # [users, 2], f32
---@return lkrun.Tensor # [items, 2], f32
function bias.factors(model)
  local users, items = bias.size(model)
  local of_users, of_items = lk.tensor.ones({ users, 2 }, "f32"), lk.tensor.ones({ items, 2 }, "f32")
  of_users:select(2, 1):copy(model.user_offsets):add(model.mean)
  of_items:select(2, 2):copy(model.item_offsets)
  return of_users, of_items
end

--- The ratings of a matrix less their scores.
---@param model lkrec.bias.Model
---@param matrix lkrun.Sparse # [users, items]
---@return lkrun.Sparse # [users, items], f32
function bias.residuals(model, matrix)
  local users, items, values = matrix:triplets()
  values = values:to "f32":sub(model.mean)
    :sub(model.user_offsets:index(users)):sub(model.item_offsets:index(items))
  return lk.sparse.csr(users, items, values, matrix:size())
end

return bias

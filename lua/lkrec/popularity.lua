--- The baseline: recommends to every user the items that most users have.
local lk = require "lkrun"
local options_of = require("lkrun.internal.options").checker

---@class lkrec.popularity
local popularity = {}

local KIND = "lkrec.popularity"

local check = options_of("lkrec.popularity.train", {})

---@class lkrec.popularity.Model
---@field kind "lkrec.popularity"
---@field users integer # how many there are
---@field counts lkrun.Tensor # [items], f32: how many users have each item

--- Counts the users of each item.
---@param matrix lkrun.Sparse # [users, items]
---@param options? {} # there are none; other models have some
---@return lkrec.popularity.Model
-- Raises for any option.
function popularity.train(matrix, options)
  check(options)
  local users, items = matrix:size(1), matrix:size(2)
  local by_item = matrix:t()
  local counts = lk.tensor.zeros({ items }, "f32")
  for item = 1, items do counts:set(item, #(by_item:row(item))) end
  return { kind = KIND, users = users, counts = counts }
end

--- How many users and items the model knows.
---@param model lkrec.popularity.Model
---@return integer users
---@return integer items
function popularity.size(model) return model.users, #model.counts end

--- The factors whose products are the scores: 1 for every user, its count for each item.
---@param model lkrec.popularity.Model
---@return lkrun.Tensor # [users, 1], f32
---@return lkrun.Tensor # [items, 1], f32
function popularity.factors(model)
  return lk.tensor.ones({ 1, 1 }, "f32"):expand(model.users, 1), model.counts:view(#model.counts, 1)
end

return popularity

--- The baseline: every user gets the items that most users have.
local lk = require "lkrun"

---@class lkrec.popularity
local popularity = {}

local KIND = "lkrec.popularity"

---@class lkrec.popularity.Model
---@field kind "lkrec.popularity"
---@field users integer # how many there are
---@field counts lkrun.Tensor # [items], f32: how many users have each item

--- Counts the users of each item.
---@param matrix lkrun.Sparse # [users, items]
---@return lkrec.popularity.Model
function popularity.train(matrix)
  local users, items = matrix:size(1), matrix:size(2)
  local by_item = matrix:t()
  local counts = lk.tensor.zeros({ items }, "f32")
  for item = 1, items do counts:set(item, #(by_item:row(item))) end
  return { kind = KIND, users = users, counts = counts }
end

--- The scores of all items for some users: the same for each.
---@param model lkrec.popularity.Model
---@param users integer[]|lkrun.Tensor # user indices
---@param out? lkrun.Tensor # [#users, items], f32: where to put them
---@return lkrun.Tensor # [#users, items], f32
function popularity.scores(model, users, out)
  local items = #model.counts
  out = out or lk.tensor.zeros({ #users, items }, "f32")
  return out:copy(model.counts:view(1, items):expand(#users, items))
end

--- The score of each of some pairs.
---@param model lkrec.popularity.Model
---@param _ integer[]|lkrun.Tensor # user index of each pair
---@param items integer[]|lkrun.Tensor # item index of each pair
---@return lkrun.Tensor # [#items], f32
function popularity.predict(model, _, items) return model.counts:index(items) end

--- The same model for some of the items only, in that order.
---@param model lkrec.popularity.Model
---@param items integer[]|lkrun.Tensor # item indices
---@return lkrec.popularity.Model
function popularity.for_items(model, items)
  return { kind = KIND, users = model.users, counts = model.counts:index(items) }
end

--- How many users and items the model knows.
---@param model lkrec.popularity.Model
---@return integer users
---@return integer items
function popularity.size(model) return model.users, #model.counts end

return popularity

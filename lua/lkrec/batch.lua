--- Recommendations and scores for many users at once, in worker processes.
---
--- A model is a plain table of values and tensors. Its `kind` names the module that knows what to
--- do with it; users and items are indices, from 1.
local lk = require "lkrun"

---@class lkrec.batch
local batch = {}

-- What may stand in a model's `kind`. A list, so that a model read from a file runs no other code.
local kinds = { ["lkrec.popularity"] = true, ["lkrec.als.implicit"] = true }

local BLOCK_ELEMENTS = 1 << 19 -- scores that a worker holds at a time
local NONE = -math.huge -- the score of what must not be recommended

---@alias lkrec.Model lkrec.popularity.Model|lkrec.als.implicit.Model

local function module_of(model, where)
  if type(model) ~= "table" or not kinds[model.kind] then
    local found = type(model) == "table" and ("a model of kind '%s'"):format(model.kind) or type(model)
    local known = {}
    for kind in pairs(kinds) do known[#known + 1] = kind end
    table.sort(known)
    error(("lkrun: lkrec.batch.%s: %s; expected one of %s")
      :format(where, found, table.concat(known, ", ")), 0)
  end
  return require(model.kind)
end

-- All users where none are named; otherwise those, checked.
local function check_users(users, known, where)
  if not users then
    users = {}
    for user = 1, known do users[user] = user end
    return users
  end
  for i, user in ipairs(users) do
    if math.type(user) ~= "integer" or user < 1 or user > known then
      error(("lkrun: lkrec.batch.%s: users[%d] is %s; expected an index in [1, %d]")
        :format(where, i, user, known), 0)
    end
  end
  return users
end

-- Blocks of users whose scores fit BLOCK_ELEMENTS: the same ones for every n_jobs.
local function blocks_of(users, items)
  local size = math.max(BLOCK_ELEMENTS // math.max(items, 1), 1)
  return lk.WorkChunks(#users, size, -(-#users // size))
end

-- What the workers share. `candidates` are item indices, ascending; `positions` is the other way
-- round. Both are nil where every item is a candidate.
---@class lkrec.batch.Shared
---@field model lkrec.Model # for the candidates only
---@field users integer[]
---@field n integer # items to recommend, at most as many as there are candidates
---@field exclude? lkrun.Sparse
---@field candidates? lkrun.Tensor
---@field positions? table<integer, integer>

-- The places, among the candidates, of what must not be recommended to a user.
local function excluded_places(shared, user)
  local items = shared.exclude:row(user)
  if not shared.positions then return items end
  local places = {}
  for _, item in ipairs(items:totable()) do places[#places + 1] = shared.positions[item] end
  return places
end

-- The operation: the n best items of each user of a block, and their scores; both [users, n].
local function recommend_block(shared, block)
  local users = table.move(shared.users, block[1], block[2], 1, {})
  local scores = require(shared.model.kind).scores(shared.model, users)
  if shared.exclude then
    for i, user in ipairs(users) do
      scores:select(1, i):index_fill(excluded_places(shared, user), NONE)
    end
  end
  local best, items = scores:topk(shared.n)
  if shared.candidates then
    items = shared.candidates:index(items:view(#users * shared.n)):view(#users, shared.n)
  end
  for i = 1, #users do
    local place = shared.n -- what was excluded comes last, if it comes at all
    while place >= 1 and best:get(i, place) == NONE do
      items:set(i, place, 0)
      place = place - 1
    end
  end
  return items, best
end

-- Candidates in ascending order without repetition, as a tensor, and the place of each.
local function order_candidates(candidates, known)
  local sorted, positions = table.move(candidates, 1, #candidates, 1, {}), {}
  table.sort(sorted)
  local distinct = {}
  for _, item in ipairs(sorted) do
    if math.type(item) ~= "integer" or item < 1 or item > known then
      error(("lkrun: lkrec.batch.recommend: candidate %s; expected an index in [1, %d]")
        :format(item, known), 0)
    end
    if not positions[item] then
      distinct[#distinct + 1] = item
      positions[item] = #distinct
    end
  end
  return lk.tensor.from(distinct, "i64"), positions
end

---@class lkrec.RecommendOptions
---@field n? integer # items to recommend to each user; default 10
---@field exclude? lkrun.Sparse # [users, items]: what not to recommend, as what they have already
---@field candidates? integer[] # items to choose from; default: all
---@field n_jobs? integer # worker processes; default: lk.proc_count(); 1: none
---@field progress? lkrun.Progress|boolean # counts users; true: a bar of its own

---@class lkrec.Recommendations
---@field users integer[] # user indices
---@field items lkrun.Tensor # [users, n], i64: the best first; 0 past the end of a short list
---@field scores lkrun.Tensor # [users, n], f32; -inf past the end

--- The n best items for each user: by score, those with equal scores by index. The users go in
--- blocks through the model in worker processes; the result is the same for every n_jobs.
---@param model lkrec.Model
---@param users? integer[] # user indices; default: all that the model knows
---@param options? lkrec.RecommendOptions
---@return lkrec.Recommendations
-- Raises for a model of an unknown kind, an index out of range, an `exclude` of another shape.
function batch.recommend(model, users, options)
  options = options or {}
  local kind = module_of(model, "recommend")
  local known_users, known_items = kind.size(model)
  users = check_users(users, known_users, "recommend")
  local n = options.n or 10
  if math.type(n) ~= "integer" or n < 1 then
    error(("lkrun: lkrec.batch.recommend: n is %s; expected an integer of at least 1"):format(n), 0)
  end
  local exclude = options.exclude
  if exclude and (exclude:size(1) ~= known_users or exclude:size(2) ~= known_items) then
    error(("lkrun: lkrec.batch.recommend: exclude is [%d, %d]; expected [%d, %d], the model's users and items")
      :format(exclude:size(1), exclude:size(2), known_users, known_items), 0)
  end

  local shared = { model = model, users = users, exclude = exclude }
  local width = known_items
  if options.candidates then
    shared.candidates, shared.positions = order_candidates(options.candidates, known_items)
    shared.model = kind.for_items(model, shared.candidates)
    width = #shared.candidates
  end
  shared.n = math.min(n, width)

  local result = {
    users = users,
    items = lk.tensor.zeros({ #users, n }, "i64"),
    scores = lk.tensor.full({ #users, n }, NONE, "f32"),
  }
  if shared.n == 0 then return result end
  local bar <close> = options.progress == true and lk.invoke_progress {
    label = "recommend", total = #users, unit = "users",
  } or nil
  local progress = bar or options.progress
  local blocks = blocks_of(users, width)
  for i, items, scores in lk.map(shared, recommend_block, blocks, { n_jobs = options.n_jobs }) do
    local first, last = table.unpack(blocks[i])
    local function target(tensor)
      return tensor:narrow(1, first, last - first + 1):narrow(2, 1, shared.n)
    end
    target(result.items):copy(items)
    target(result.scores):copy(scores)
    if progress then progress:update(last - first + 1) end
  end
  return result
end

--- Iterates over recommendations: user index, rank from 1, item index, score.
---@param recommendations lkrec.Recommendations
---@return fun(): integer?, integer?, integer?, number?
function batch.each(recommendations)
  local users, items, scores = recommendations.users, recommendations.items, recommendations.scores
  local row, rank, n = 1, 0, items:size(2)
  return function()
    rank = rank + 1
    while row <= #users and (rank > n or items:get(row, rank) == 0) do
      row, rank = row + 1, 1
    end
    if row > #users then return nil end
    return users[row], rank, items:get(row, rank), scores:get(row, rank)
  end
end

--- The scores of all items for each user.
---@param model lkrec.Model
---@param users? integer[] # user indices; default: all
---@return lkrun.Tensor # [users, items], f32
-- Raises for a model of an unknown kind, an index out of range, no room for the result.
function batch.score(model, users)
  local kind = module_of(model, "score")
  return kind.scores(model, check_users(users, (kind.size(model)), "score"))
end

--- The score of each of some pairs of a user and an item.
---@param model lkrec.Model
---@param users integer[] # user index of each pair
---@param items integer[] # item index of each pair
---@return lkrun.Tensor # [pairs], f32
-- Raises for a model of an unknown kind, an index out of range, lists of different lengths.
function batch.predict(model, users, items)
  local kind = module_of(model, "predict")
  if #users ~= #items then
    error(("lkrun: lkrec.batch.predict: %d users and %d items; expected one of each for a pair")
      :format(#users, #items), 0)
  end
  return kind.predict(model, check_users(users, (kind.size(model)), "predict"), items)
end

return batch

--- Recommendations and scores for many users at once, in worker processes.
---
--- A model has functions that tell how many users and items it knows, and either its factors, where a score is
--- the product of two vectors, or the scores themselves. They are fields of the model, or, where the model is a
--- plain table of values and tensors, of the module that its `kind` names.
local lk = require "lkrun"
local fail = require "lkrun.internal.fail"
local value_text = require "lkrun.core.value_text"
local options_of = require("lkrun.internal.options").checker

---@class lkrec.batch
local batch = {}

-- The modules that a model's `kind` may load: a closed list, so that a model read from a file runs no other code.
local kinds = {
  ["lkrec.popularity"] = true, ["lkrec.bias"] = true, ["lkrec.als.explicit"] = true,
  ["lkrec.als.implicit"] = true, ["lkrec.knn.item"] = true, ["lkrec.knn.user"] = true,
}

local BLOCK_ELEMENTS = 1 << 19 -- scores that a worker holds at a time
local BLOCK_USERS = 384 -- users a task where factors are searched: as many as lk.linalg.mips takes at a time
local BLOCK_PAIRS = 4096 -- pairs in one task of predict
local NONE = -math.huge -- score of a place where nothing is recommended
local NAN = 0 / 0 -- score of an unknown user or item

---@class lkrec.Scorer # indices count from 1
--- How many users and items the model knows.
---@field size fun(model: lkrec.Model): integer, integer
--- The factors of all users [users, k] and of all items [items, k], f32 or f64: a score is their product.
---@field factors? fun(model: lkrec.Model): lkrun.Tensor, lkrun.Tensor
--- Where there are no factors, the scores [#users, #items] of some users, for some items or all of
--- them, as i64 tensors; nan or -inf where there is none.
---@field scores? fun(model: lkrec.Model, users: lkrun.Tensor, items?: lkrun.Tensor): lkrun.Tensor

---@alias lkrec.Model lkrec.Scorer|{kind: string}
---@alias lkrec.Ids {user_ids: (integer|string)[], item_ids: (integer|string)[]} # index → id; lkrec.Ratings are such

-- The table that has the model's functions: the model, or the module of its kind.
local function scorer_of(model, where)
  if type(model) ~= "table" then fail(where, "the model is %s; expected a table", value_text.type(model)) end
  local kind = model.kind
  local scorer = kind == nil and model or kinds[kind] and require(kind) or package.loaded[kind]
  if type(scorer) ~= "table" or not scorer.size or not (scorer.factors or scorer.scores) then
    local known = {}
    for name in pairs(kinds) do known[#known + 1] = name end
    table.sort(known)
    fail(where, "a model of kind '%s'; expected one of %s, or a module that is loaded and has "
      .. "the functions size, and factors or scores", kind, table.concat(known, ", "))
  end
  return scorer
end

-- ---- Users and items ----

-- The users, or items, that a caller asked for.
---@class lkrec.batch.Asked
---@field indices lkrun.Tensor # [n], i64: 0 where an id is unknown
---@field known lkrun.Tensor # the others
---@field places? integer[] # where these are in `indices`; nil where all are known

-- Raises for the first index that is out of range.
local function check_range(list, known, where, what)
  if lk.tensor.is(list) and #list > 0 and list:min() >= 1 and list:max() <= known then return end
  for i = 1, #list do
    local index = list[i]
    if math.type(index) ~= "integer" or index < 1 or index > known then
      fail(where, "%s[%d] is %s; expected an index in [1, %d]", what, i, value_text.brief(index), known)
    end
  end
end

local function ask_indices(list, known, where, what)
  if list == nil then
    list = lk.tensor.arange(1, known, "i64")
  elseif type(list) == "table" and list.first then
    list = lk.tensor.arange(list.first, list.last, "i64")
  end
  check_range(list, known, where, what)
  local indices = lk.tensor.is(list) and list:to "i64" or lk.tensor.from(list, "i64")
  return { indices = indices, known = indices }
end

-- As ask_indices, for a list of ids. An unknown id is no error in a batch; the log tells how many there are.
local function ask_ids(list, ids, where, what)
  local index_of, indices, known, places = {}, {}, {}, {}
  for index = 1, #ids do index_of[ids[index]] = index end
  local first
  for i = 1, #list do
    local index = index_of[list[i]]
    indices[i] = index or 0
    if index then
      known[#known + 1], places[#places + 1] = index, i
    else
      first = first or tostring(list[i])
    end
  end
  if first then
    lk.log.get "lkrec":warn("%s: %d of %d %s are unknown, the first is %s",
      where, #list - #known, #list, what, first)
  end
  return {
    indices = lk.tensor.from(indices, "i64"), known = lk.tensor.from(known, "i64"),
    places = first and places,
  }
end

-- The users or items that `list` names, of `known` ones: by their ids where `ids` are given, else by index; nil
-- names all.
local function ask(list, known, ids, where, what)
  if ids and list ~= nil then return ask_ids(list, ids, where, what) end
  return ask_indices(list, known, where, what)
end

-- Rows for all that were asked for: `rows` are those of the known ones, the others are filled with `filling`.
local function spread(rows, asked, filling)
  if not asked.places then return rows end
  local shape = rows:size()
  shape[1] = #asked.indices
  return lk.tensor.full(shape, filling, rows.dtype):index_copy(asked.places, rows)
end

-- The indices of the candidates in ascending order, each once.
local function order_candidates(candidates, known, ids)
  local asked = ask(candidates, known, ids and ids.item_ids, "lkrec.batch.recommend", "candidates")
  local sorted, distinct = asked.known:sort(), {}
  for i = 1, #sorted do
    if sorted[i] ~= distinct[#distinct] then distinct[#distinct + 1] = sorted[i] end
  end
  return lk.tensor.from(distinct, "i64")
end

-- ---- Operations, in the workers ----

-- What the workers share: the tensors that they read, and those of which each writes its own rows.
---@class lkrec.batch.Shared
---@field scorer lkrec.Scorer
---@field model lkrec.Model
---@field users lkrun.Tensor # [users], i64
---@field user_factors? lkrun.Tensor
---@field item_factors? lkrun.Tensor
---@field items? lkrun.Tensor # [items], i64, for predict one for each user; nil: all
---@field exclude? lkrun.Sparse
---@field n? integer # how many items can be recommended to a user
---@field best? lkrun.Tensor # [users, n], i64
---@field scores lkrun.Tensor # [users, n], [users, items] or [users]
---@field positions? table<integer, integer> # item → its place in `items`

local function score_block(shared, users)
  if shared.user_factors then
    return shared.user_factors:index(users):mm(shared.item_factors:t())
  end
  return shared.scorer.scores(shared.model, users, shared.items)
end

local function positions_of(items)
  local positions = {}
  for place = 1, #items do positions[items[place]] = place end
  return positions
end

-- The places, among the candidates, of the items that must not be recommended to a user.
local function excluded_places(shared, user)
  local items = shared.exclude:row(user)
  if not shared.positions then return items end
  local places = {}
  for _, item in ipairs(items:totable()) do places[#places + 1] = shared.positions[item] end
  return places
end

-- An operation: the n best items for each user of a block, by the products of factors.
local function search_block(shared, block)
  local first, count = block[1], block[2] - block[1] + 1
  lk.linalg.mips(shared.user_factors, shared.item_factors, shared.best:size(2), {
    rows = shared.users:narrow(1, first, count), among = shared.items, exclude = shared.exclude,
    values = shared.scores:narrow(1, first, count), indices = shared.best:narrow(1, first, count),
  })
end

-- An operation: the same as search_block, by the scores that the model computes.
local function rank_block(shared, block)
  local first, count = block[1], block[2] - block[1] + 1
  local users = shared.users:narrow(1, first, count)
  local scores = score_block(shared, users)
  if shared.exclude then
    for i = 1, count do
      scores:select(1, i):index_fill(excluded_places(shared, users[i]), NONE)
    end
  end
  local best, items = scores:topk(shared.n)
  if shared.items then
    items = shared.items:index(items:view(count * shared.n)):view(count, shared.n)
  end
  for i = 1, count do
    for place = shared.n, 1, -1 do -- places without a score are at the end
      local score = best:get(i, place)
      if score > NONE then break end
      items:set(i, place, 0)
      best:set(i, place, NONE)
    end
  end
  shared.best:narrow(1, first, count):narrow(2, 1, shared.n):copy(items)
  shared.scores:narrow(1, first, count):narrow(2, 1, shared.n):copy(best)
end

-- An operation: the scores of all items, or of those asked for, for each user of a block.
local function score_rows(shared, block)
  local first, count = block[1], block[2] - block[1] + 1
  shared.scores:narrow(1, first, count):copy(score_block(shared, shared.users:narrow(1, first, count)))
end

-- An operation: the scores of a block of pairs. Pairs of one user that follow each other are scored together.
local function predict_block(shared, block)
  local first, count = block[1], block[2] - block[1] + 1
  local users, items = shared.users:narrow(1, first, count), shared.items:narrow(1, first, count)
  local scores = shared.scores:narrow(1, first, count)
  if shared.user_factors then
    scores:copy(shared.user_factors:index(users):mul(shared.item_factors:index(items)):sum(2))
    return
  end
  local i = 1
  while i <= count do
    local last = i
    while last < count and users[last + 1] == users[i] do last = last + 1 end
    local run = last - i + 1
    local row = shared.scorer.scores(shared.model, users:narrow(1, i, 1), items:narrow(1, i, run))
    scores:narrow(1, i, run):copy(row:select(1, 1))
    i = last + 1
  end
end

-- Applies an operation to blocks of `size`, of `count` users or pairs. The blocks are the same for every n_jobs.
local function run(operation, shared, count, size, options, what)
  if count == 0 then return end
  local bar <close> = options.progress == true and lk.invoke_progress {
    label = what, total = count, unit = what == "predict" and "pairs" or "users",
  } or nil
  local progress = bar or options.progress
  local blocks = lk.WorkChunks(count, size, -(-count // size))
  local writable = { shared.scores, shared.best }
  for i in lk.map(shared, operation, blocks, { n_jobs = options.n_jobs, writable = writable }) do
    if progress then progress:update(blocks[i][2] - blocks[i][1] + 1) end
  end
end

-- The part of what the workers share that every operation needs, and the dtype of its scores.
local function shared_of(scorer, model)
  local shared = { scorer = scorer, model = model }
  if scorer.factors then shared.user_factors, shared.item_factors = scorer.factors(model) end
  return shared, shared.user_factors and shared.user_factors.dtype or "f32"
end

-- ---- The interface ----

local any = { any = true } -- the value is checked where it is used
local check = {
  recommend = options_of("lkrec.batch.recommend", {
    n = { default = 10, integer = true, least = 1 },
    exclude = any, candidates = any, ids = any, n_jobs = any, progress = any,
  }),
  score = options_of("lkrec.batch.score", { ids = any, n_jobs = any, progress = any }),
  predict = options_of("lkrec.batch.predict", { ids = any, n_jobs = any, progress = any }),
}

---@class lkrec.BatchOptions
---@field ids? lkrec.Ids # users and items are given as ids of these
---@field n_jobs? integer # worker processes; default: lk.proc_count(); 1: none
---@field progress? lkrun.Progress|boolean # counts users, or pairs; true: a bar of its own

---@class lkrec.RecommendOptions: lkrec.BatchOptions
---@field n? integer # items to recommend to each user; default 10
---@field exclude? lkrun.Sparse # [users, items]: what not to recommend, as what they have already
---@field candidates? (integer|string)[]|lkrun.Tensor # items to choose from; default: all

---@class lkrec.Recommendations
---@field users lkrun.Tensor # [users], i64: user indices; 0: unknown
---@field items lkrun.Tensor # [users, n], i64: item indices, the best first; 0 past the end of a short list
---@field scores lkrun.Tensor # [users, n], f32 (f64 where the factors are): -inf past the end
---@field ids? lkrec.Ids # as they were given

local function check_exclude(exclude, users, items)
  if not lk.sparse.is(exclude) then
    fail("lkrec.batch.recommend", "exclude is %s; expected a sparse matrix", value_text.type(exclude))
  end
  if exclude:size(1) ~= users or exclude:size(2) ~= items then
    fail("lkrec.batch.recommend", "exclude is [%d, %d]; expected [%d, %d], the model's users and items",
      exclude:size(1), exclude:size(2), users, items)
  end
end

--- The n best items for each user: by score, those with equal scores by index. What has no score
--- (nan, -inf) is not recommended. The users go in blocks through the model in worker processes; the
--- result is the same for every n_jobs.
---@param model lkrec.Model
---@param users? (integer|string)[]|lkrun.Tensor|{first: integer, last: integer} # default: all that the model knows
---@param options? lkrec.RecommendOptions
---@return lkrec.Recommendations
-- Raises for a model without the functions, an unknown option, an index out of range, an `exclude` of another shape.
function batch.recommend(model, users, options)
  options = check.recommend(options)
  local scorer = scorer_of(model, "lkrec.batch.recommend")
  local known_users, known_items = scorer.size(model)
  local ids, n, exclude = options.ids, options.n, options.exclude
  local asked = ask(users, known_users, ids and ids.user_ids, "lkrec.batch.recommend", "users")
  if exclude then check_exclude(exclude, known_users, known_items) end

  local shared, dtype = shared_of(scorer, model)
  shared.users, shared.exclude = asked.known, exclude
  if options.candidates then shared.items = order_candidates(options.candidates, known_items, ids) end
  shared.best = lk.tensor.zeros({ #asked.known, n }, "i64")
  shared.scores = lk.tensor.full({ #asked.known, n }, NONE, dtype)
  if shared.user_factors then
    run(search_block, shared, #asked.known, BLOCK_USERS, options, "recommend")
  else
    local width = shared.items and #shared.items or known_items
    shared.n, shared.positions = math.min(n, width), shared.items and positions_of(shared.items)
    local size = math.max(BLOCK_ELEMENTS // math.max(width, 1), 1)
    run(rank_block, shared, width > 0 and #asked.known or 0, size, options, "recommend")
  end
  return {
    users = asked.indices, items = spread(shared.best, asked, 0), scores = spread(shared.scores, asked, NONE),
    ids = ids,
  }
end

--- Iterates over recommendations: user, rank from 1, item, score; the ids where they were given,
--- else indices.
---@param recommendations lkrec.Recommendations
---@return fun(): integer|string|nil, integer?, integer|string|nil, number?
function batch.each(recommendations)
  local users, items, scores = recommendations.users, recommendations.items, recommendations.scores
  local ids = recommendations.ids
  local row, rank, n = 1, 0, items:size(2)
  return function()
    rank = rank + 1
    while row <= #users and (rank > n or items:get(row, rank) == 0) do
      row, rank = row + 1, 1
    end
    if row > #users then return nil end
    local user, item = users[row], items:get(row, rank)
    if ids then user, item = ids.user_ids[user], ids.item_ids[item] end
    return user, rank, item, scores:get(row, rank)
  end
end

--- The scores of all items, or some, for each user.
---@param model lkrec.Model
---@param users? (integer|string)[]|lkrun.Tensor|{first: integer, last: integer} # default: all
---@param items? (integer|string)[]|lkrun.Tensor # default: all
---@param options? lkrec.BatchOptions
---@return lkrun.Tensor # [users, items], f32 (f64 where the factors are); nan for unknown users and items
-- Raises for a model without the functions, an unknown option, an index out of range, no room for the result.
function batch.score(model, users, items, options)
  options = check.score(options)
  local scorer = scorer_of(model, "lkrec.batch.score")
  local known_users, known_items = scorer.size(model)
  local ids = options.ids
  local rows = ask(users, known_users, ids and ids.user_ids, "lkrec.batch.score", "users")
  local columns = ask(items, known_items, ids and ids.item_ids, "lkrec.batch.score", "items")
  local shared, dtype = shared_of(scorer, model)
  local width = #columns.known
  shared.users = rows.known
  if items then
    shared.items = columns.known
    if shared.item_factors then shared.item_factors = shared.item_factors:index(columns.known) end
  end
  shared.scores = lk.tensor.zeros({ #rows.known, width }, dtype)
  if width > 0 then
    run(score_rows, shared, #rows.known, math.max(BLOCK_ELEMENTS // width, 1), options, "score")
  end
  local scores = spread(shared.scores, rows, NAN)
  return columns.places and spread(scores:t(), columns, NAN):t() or scores
end

--- The score of each of some pairs of a user and an item.
---@param model lkrec.Model
---@param users (integer|string)[]|lkrun.Tensor # the user of each pair
---@param items (integer|string)[]|lkrun.Tensor # the item of each pair
---@param options? lkrec.BatchOptions
---@return lkrun.Tensor # [pairs], f32 (f64 where the factors are); nan where either is unknown
-- Raises for a model without the functions, an unknown option, an index out of range, lists of different lengths.
function batch.predict(model, users, items, options)
  options = check.predict(options)
  local scorer = scorer_of(model, "lkrec.batch.predict")
  if #users ~= #items then
    fail("lkrec.batch.predict", "%d users and %d items; expected one of each for a pair", #users, #items)
  end
  local known_users, known_items = scorer.size(model)
  local ids = options.ids
  local rows = ask(users, known_users, ids and ids.user_ids, "lkrec.batch.predict", "users").indices
  local columns = ask(items, known_items, ids and ids.item_ids, "lkrec.batch.predict", "items").indices
  local pairs_known = { indices = rows }
  if ids then
    pairs_known.places = {}
    for i = 1, #rows do
      if rows[i] > 0 and columns[i] > 0 then table.insert(pairs_known.places, i) end
    end
    rows, columns = rows:index(pairs_known.places), columns:index(pairs_known.places)
  end
  local shared, dtype = shared_of(scorer, model)
  shared.users, shared.items = rows, columns
  shared.scores = lk.tensor.zeros({ #rows }, dtype)
  run(predict_block, shared, #rows, BLOCK_PAIRS, options, "predict")
  return spread(shared.scores, pairs_known, NAN)
end

return batch

--- Ratings: loaded from a file or generated, split for evaluation, and as a sparse matrix.
---
--- Users and items have an *id* (an integer of 64 bits, or a string) in files, and an *index* (from
--- 1 without gaps) in models and matrices. Indices follow the ascending order of the ids.
---
--- Invariant of every Ratings: sorted by user, then item, with at most one rating for a pair. So
--- the order of the rows in a file changes nothing, and a user's ratings stand together.
local lk = require "lkrun"
local rows = require "lkrun.rows"
local fail = require "lkrun.internal.fail"
local value_text = require "lkrun.core.value_text"
local options_of = require("lkrun.internal.options").checker

---@class lkrec.Ratings
---@field users integer[] # user index of each rating
---@field items integer[] # item index of each rating
---@field values number[]
---@field times? number[] # when it was given, usually in seconds; nil where nobody knows
---@field user_ids (integer|string)[] # user index → id
---@field item_ids (integer|string)[] # item index → id

---@class lkrec.data
local data = {}

-- The meaning of columns by their name in a file, in lower case and without underscores and spaces.
local known_columns = {
  user = "user", userid = "user",
  item = "item", itemid = "item", movie = "item", movieid = "item",
  rating = "rating", value = "rating",
  timestamp = "time", time = "time",
}

-- The positions of the columns in a header, from 1: {user =, item =, rating =, time =}.
local function find_columns(header, chosen, path)
  local position = {}
  local function refuse(what)
    fail("lkrec.data.load", "%s: %s; the header is %s", path, what, table.concat(header, ","))
  end
  local function take(column, at)
    if position[column] then
      refuse(("columns '%s' and '%s' could both be the %s; name one in `columns`")
        :format(header[position[column]], header[at], column))
    end
    position[column] = at
  end
  for at, name in ipairs(header) do
    local column = known_columns[(name:lower():gsub("[_ ]", ""))]
    if column and not (chosen and chosen[column]) then take(column, at) end
  end
  for column, name in pairs(chosen or {}) do
    for at, found in ipairs(header) do
      if found == name then take(column, at) end
    end
    if not position[column] then refuse(("expected a column '%s'"):format(name)) end
  end
  for _, column in ipairs { "user", "item" } do
    if not position[column] then
      refuse(("no column for the %s; expected %sId or %s, or a name in `columns`")
        :format(column, column, column))
    end
  end
  return position
end

-- A function that numbers texts in the order of their first appearance, and the list of the texts.
local function numbering()
  local number, texts = {}, {}
  return function(text)
    local n = number[text]
    if not n then
      n = #texts + 1
      texts[n], number[text] = text, n
    end
    return n
  end, texts
end

-- The ids in ascending order, and the place in that order of each text. The ids are integers if all texts are
-- integers as Lua writes them, else strings: "007" stays "007".
local function order_ids(texts)
  local ids = {}
  for n, text in ipairs(texts) do
    local id = tonumber(text)
    if math.type(id) ~= "integer" or tostring(id) ~= text then
      ids = table.move(texts, 1, #texts, 1, {})
      break
    end
    ids[n] = id
  end
  local order = {}
  for n = 1, #ids do order[n] = n end
  table.sort(order, function(a, b) return ids[a] < ids[b] end)
  local sorted, place = {}, {}
  for index, n in ipairs(order) do
    sorted[index], place[n] = ids[n], index
  end
  return sorted, place
end

-- The positions 1 … #keys in ascending order of their keys, which are from 1 to count. Positions with equal keys
-- stay in the order that they have in `order`, or ascend where that is nil.
local function counting_sort(keys, count, order)
  local start = {}
  for key = 1, count + 1 do start[key] = 0 end
  for i = 1, #keys do start[keys[i] + 1] = start[keys[i] + 1] + 1 end
  start[1] = 1
  for key = 2, count + 1 do start[key] = start[key] + start[key - 1] end
  local sorted = table.move(keys, 1, #keys, 1, {}) -- for its length: all elements are overwritten
  for i = 1, #keys do
    local position = order and order[i] or i
    local key = keys[position]
    sorted[start[key]] = position
    start[key] = start[key] + 1
  end
  return sorted
end

-- Ratings of columns in any order. Of several ratings of one user for one item the latest is kept, and among
-- those of the same time the last in order.
local function arrange(users, items, values, times, user_ids, item_ids)
  local order = counting_sort(users, #user_ids, counting_sort(items, #item_ids))
  local result = {
    users = {}, items = {}, values = {}, times = times and {},
    user_ids = user_ids, item_ids = item_ids,
  }
  local n = 0
  for _, from in ipairs(order) do
    local repeated = n > 0 and result.users[n] == users[from] and result.items[n] == items[from]
    if not (repeated and times and times[from] < result.times[n]) then
      if not repeated then n = n + 1 end
      result.users[n], result.items[n], result.values[n] = users[from], items[from], values[from]
      if times then result.times[n] = times[from] end
    end
  end
  return result
end

--- Ratings of known users and items.
---@param users integer[] # user index of each rating
---@param items integer[] # item index
---@param values number[]
---@param times number[]? # nil where nobody knows them
---@param user_ids (integer|string)[] # user index → id
---@param item_ids (integer|string)[] # item index → id
---@return lkrec.Ratings
-- Raises when the arrays differ in length or an index is out of range.
function data.from(users, items, values, times, user_ids, item_ids)
  local function check(name, column, count)
    if #column ~= #users then
      fail("lkrec.data.from", "%d %s; expected %d, one for each user", #column, name, #users)
    end
    for i = 1, count and #column or 0 do
      local index = column[i]
      if math.type(index) ~= "integer" or index < 1 or index > count then
        fail("lkrec.data.from", "%s[%d] is %s; expected an index in [1, %d]", name, i, value_text.brief(index), count)
      end
    end
  end
  check("users", users, #user_ids)
  check("items", items, #item_ids)
  check("values", values)
  if times then check("times", times) end
  return arrange(users, items, values, times, user_ids, item_ids)
end

local check_load = options_of("lkrec.data.load", { columns = { any = true } })

---@class lkrec.LoadOptions
---@field columns? {user?: string, item?: string, rating?: string, time?: string} # names in the header

--- Loads ratings from a CSV or TSV file with a header: MovieLens' (`userId,movieId,rating,timestamp`) or plain
--- names (`user,item,rating,time`), in any order and among other columns. Without a column of ratings each row
--- counts 1. Ids that are all integers are read as integers of 64 bits, others are strings.
---@param path string
---@param options? lkrec.LoadOptions
---@return lkrec.Ratings
-- Raises for an unknown option, and, with file and line: a file that cannot be read, a missing column, an
-- empty id, a rating or a time that is no finite number, rows of different lengths; and for a file without a rating.
function data.load(path, options)
  options = check_load(options)
  local users, items, values, times = {}, {}, {}, {}
  local number_user, user_texts = numbering()
  local number_item, item_texts = numbering()
  local column, n

  local function refuse(line, name, text, expected)
    fail("lkrec.data.load", "%s:%d: %s is '%s'; expected %s", path, line, name, text, expected)
  end
  local function id(line, row, name)
    local text = row[column[name]]
    if text == "" then refuse(line, name, text, "an id") end
    return text
  end
  local function number(line, row, name)
    local text = row[column[name]]
    local value = tonumber(text)
    if not value or value - value ~= 0 then refuse(line, name, text, "a finite number") end
    return value
  end

  for line, row in rows.read(path, { format = "csv", header = false, delimiter = "" }) do
    if not column then
      column, n = find_columns(row, options.columns, path), 0
    else
      n = n + 1
      users[n] = number_user(id(line, row, "user"))
      items[n] = number_item(id(line, row, "item"))
      values[n] = column.rating and number(line, row, "rating") + 0.0 or 1.0
      if column.time then times[n] = number(line, row, "time") end
    end
  end
  if (n or 0) == 0 then
    fail("lkrec.data.load", "%s has no ratings; expected a header and at least one row", path)
  end
  local user_ids, user_place = order_ids(user_texts)
  local item_ids, item_place = order_ids(item_texts)
  for i = 1, n do
    users[i], items[i] = user_place[users[i]], item_place[items[i]]
  end
  return arrange(users, items, values, column.time and times, user_ids, item_ids)
end

--- Generated ratings with a structure to find; see lkrec.generate.
---@param options? lkrec.GenerateOptions
---@return lkrec.Ratings
function data.generate(options) return require "lkrec.generate" (options) end

--- Iterates over the users that have ratings, in ascending order.
---@param ratings lkrec.Ratings
---@return fun(): integer?, integer?, integer? # user index; its ratings are those from first to last
function data.each_user(ratings)
  local users, last = ratings.users, 0
  return function()
    local first = last + 1
    local user = users[first]
    if not user then return nil end
    last = first
    while users[last + 1] == user do last = last + 1 end
    return user, first, last
  end
end

---@class lkrec.SplitOptions
---@field method? "random"|"last" # which of a user's ratings become the test; default "random"
---@field fraction? number # how many, as a part of the user's ratings, rounded; default 0.2
---@field count? integer # how many, for every user; excludes `fraction`
---@field seed? integer # of the random choice; default 1

--- Splits the ratings of every user into those to train on and those to test with. Each user
--- keeps at least one rating to train on. The random choice of a user depends on the seed, its
--- index and its ratings only; "last" takes the latest ones, of equal times those with the higher
--- item index. Both parts keep all ids, and so the same indices.
---@param ratings lkrec.Ratings
---@param options? lkrec.SplitOptions
---@return lkrec.Ratings train
---@return lkrec.Ratings test
-- Raises for an unknown option or method, a fraction outside (0, 1), a count below 1, "last" without times.
function data.split(ratings, options) return require("lkrec.split").by_user(ratings, options) end

--- Splits the ratings at a moment: those before it are there to train on, the others to test with. The test
--- may have users and items that the training part does not have.
---@param ratings lkrec.Ratings
---@param options {time?: number, fraction?: number} # the moment; or the part that comes last, at least
---@return lkrec.Ratings train
---@return lkrec.Ratings test
-- Raises for ratings without times, unless exactly one option is given, and for a fraction outside (0, 1).
function data.split_time(ratings, options) return require("lkrec.split").by_time(ratings, options) end

---@class lkrec.FoldOptions: lkrec.SplitOptions
---@field by? "ratings"|"users" # what is divided; default "ratings"

--- Divides the ratings, or the users, at random into k parts of equal size, and iterates over them: each
--- is once the test, while the others are there to train on. By users, those of the test keep some of
--- their ratings to train on, as `split` chooses them with the same options.
--- M. Stone: Cross-validatory choice and assessment of statistical predictions. Journal of the Royal
--- Statistical Society B 36(2), 1974.
---@param ratings lkrec.Ratings
---@param k integer # at least 2
---@param options? lkrec.FoldOptions
---@return fun(): integer?, lkrec.Ratings?, lkrec.Ratings? # fold from 1 to k, train, test
-- Raises for fewer than k ratings, or users, and as `split` does.
function data.folds(ratings, k, options) return require("lkrec.split").folds(ratings, k, options) end

local check_matrix = options_of("lkrec.data.matrix", {
  values = { any = true },
  dtype = { default = "f32", choices = { "f32", "f64" } },
})

--- The ratings as a sparse matrix.
---@param ratings lkrec.Ratings
---@param options? {values?: boolean, dtype?: "f32"|"f64"} # values: keep them; else each counts 1
---@return lkrun.Sparse # [users, items], f32 by default
-- Raises for an unknown option, and another dtype.
function data.matrix(ratings, options)
  options = check_matrix(options)
  local dtype = options.dtype
  local values = options.values and lk.tensor.from(ratings.values, dtype)
    or lk.tensor.ones({ #ratings.users }, dtype)
  return lk.sparse.csr(ratings.users, ratings.items, values, { #ratings.user_ids, #ratings.item_ids })
end

return data

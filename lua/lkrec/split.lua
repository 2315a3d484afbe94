--- Splits ratings into parts to train on and to test with; see lkrec.data. The parts keep all ids, so that the
--- indices stay the same, and the order of the ratings.
local lk = require "lkrun"
local data = require "lkrec.data"
local fail = require "lkrun.internal.fail"
local options_of = require("lkrun.internal.options").checker

local split = {}

-- The ordinals of the random streams of a seed, by their use.
local OF_USER, OF_RATINGS, OF_USERS = 1, 2, 3

-- Divides ratings into those that are not in the test, and those that are.
local function divide(ratings, is_test)
  local function empty()
    return {
      users = {}, items = {}, values = {}, times = ratings.times and {},
      user_ids = ratings.user_ids, item_ids = ratings.item_ids,
    }
  end
  local train, test = empty(), empty()
  for i = 1, #ratings.users do
    local part = is_test[i] and test or train
    local n = #part.users + 1
    part.users[n], part.items[n], part.values[n] = ratings.users[i], ratings.items[i], ratings.values[i]
    if part.times then part.times[n] = ratings.times[i] end
  end
  return train, test
end

-- A check of the options of lkrec.data.NAME: those of splitting each user's ratings, and `more`.
local function checker_of(name, more)
  local rules = {
    method = { default = "random", choices = { "random", "last" } },
    fraction = { above = 0, below = 1 },
    count = { integer = true, least = 1 },
    seed = { default = 1, integer = true },
  }
  for option, rule in pairs(more or {}) do rules[option] = rule end
  local where = "lkrec.data." .. name
  local check = options_of(where, rules)
  return function(ratings, options)
    options = check(options)
    local fraction = options.fraction
    if options.method == "last" and not ratings.times then
      fail(where, "the ratings have no times; expected them for method 'last'")
    elseif fraction and options.count then
      fail(where, "both fraction and count are given; expected one of them")
    end
    return options
  end
end

local check_split = checker_of "split"
local check_folds = checker_of("folds", { by = { default = "ratings", choices = { "ratings", "users" } } })
local check_time = options_of("lkrec.data.split_time", { time = { any = true }, fraction = { above = 0, below = 1 } })

-- Marks which of a user's ratings become the test; the user's ratings are those from first to last.
local function hold_out(ratings, options, user, first, last, is_test)
  local total = last - first + 1
  local order = {}
  for i = 1, total do order[i] = first + i - 1 end
  if options.method == "last" then
    local times = ratings.times
    table.sort(order, function(a, b)
      if times[a] ~= times[b] then return times[a] > times[b] end
      return a > b
    end)
  else
    lk.random.stream(options.seed, OF_USER, user):shuffle(order)
  end
  local wanted = options.count or math.floor(total * (options.fraction or 0.2) + 0.5)
  for i = 1, math.min(wanted, total - 1) do is_test[order[i]] = true end
end

---@param ratings lkrec.Ratings
---@param options? lkrec.SplitOptions
function split.by_user(ratings, options)
  options = check_split(ratings, options)
  local is_test = {}
  for user, first, last in data.each_user(ratings) do
    hold_out(ratings, options, user, first, last, is_test)
  end
  return divide(ratings, is_test)
end

---@param ratings lkrec.Ratings
---@param options {time?: number, fraction?: number}
function split.by_time(ratings, options)
  options = check_time(options)
  local time, fraction = options.time, options.fraction
  if not ratings.times then
    fail("lkrec.data.split_time", "the ratings have no times; expected them")
  elseif (time == nil) == (fraction == nil) then
    fail("lkrec.data.split_time", "time is %s and fraction is %s; expected one of them", time, fraction)
  end
  if fraction and #ratings.times > 0 then -- ratings of one moment stay together
    local ordered = lk.tensor.from(ratings.times):sort()
    time = ordered[#ordered - math.max(math.floor(#ordered * fraction + 0.5), 1) + 1]
  end
  local is_test = {}
  for i, given in ipairs(ratings.times) do is_test[i] = given >= time end
  return divide(ratings, is_test)
end

-- The fold of each of 1 … count, at random: sizes differ by one at most.
local function deal(count, k, stream)
  local order, fold_of = {}, {}
  for i = 1, count do order[i] = i end
  stream:shuffle(order)
  for place, i in ipairs(order) do fold_of[i] = (place - 1) % k + 1 end
  return fold_of
end

---@param ratings lkrec.Ratings
---@param k integer
---@param options? lkrec.FoldOptions
function split.folds(ratings, k, options)
  options = check_folds(ratings, options)
  local by = options.by
  local users = {}
  for user, first, last in data.each_user(ratings) do users[#users + 1] = { user, first, last } end
  local count = by == "users" and #users or #ratings.users
  if math.type(k) ~= "integer" or k < 2 or k > count then
    fail("lkrec.data.folds", "%s folds; expected an integer from 2 to the number of %s, %d", k, by, count)
  end
  local fold_of = deal(count, k, lk.random.stream(options.seed, by == "users" and OF_USERS or OF_RATINGS))
  local fold = 0
  return function()
    fold = fold + 1
    if fold > k then return nil end
    local is_test = {}
    for i = 1, count do
      if fold_of[i] == fold and by == "ratings" then
        is_test[i] = true
      elseif fold_of[i] == fold then
        hold_out(ratings, options, users[i][1], users[i][2], users[i][3], is_test)
      end
    end
    return fold, divide(ratings, is_test)
  end
end

return split

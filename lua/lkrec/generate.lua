--- Generated ratings with planted structure, for examples, tests and benchmarks.
---
--- Each user has a taste: a distribution over topics, logistic-normal as in the correlated topic
--- model (D. M. Blei and J. D. Lafferty: A correlated topic model of science. Annals of Applied
--- Statistics 1(1), 2007). Each topic is a distribution over items: long-tailed popularity (Zipf)
--- times an affinity. A rating happens by drawing a topic, then an item of it; some are drawn from
--- popularity alone. So the expected matrix is the product of two matrices with `topics` factors:
--- what a factor model can find, and popularity cannot.
local lk = require "lkrun"
local fail = require "lkrun.internal.fail"
local options_of = require("lkrun.internal.options").checker

---@class lkrec.GenerateOptions
---@field users? integer # default 1,000
---@field items? integer # default 2,000
---@field ratings? integer # in all, at most a quarter of users × items; default 100,000
---@field topics? integer # default 12
---@field seed? integer # default 1

local check = options_of("lkrec.data.generate", {
  users = { default = 1000, integer = true, least = 1 },
  items = { default = 2000, integer = true, least = 1 },
  ratings = { default = 100000, integer = true, least = 1 },
  topics = { default = 12, integer = true, least = 1 },
  seed = { default = 1, integer = true },
})

local TASTE_SPREAD = 2.5 -- of the logits of a user's topics: the larger, the narrower the taste
local AFFINITY_SPREAD = 2.5 -- of the logits of a topic's items
local ZIPF_EXPONENT, ZIPF_SHIFT = 0.7, 10 -- popularity of rank r: (r + shift)^-exponent
local NOISE = 0.1 -- part of the ratings that has nothing to do with taste
local ACTIVITY_SPREAD = 0.7 -- of the logarithm of a user's number of ratings

-- Divides the weights by their sum, in place.
local function normalized(weights)
  local sum = 0.0
  for _, weight in ipairs(weights) do sum = sum + weight end
  for i, weight in ipairs(weights) do weights[i] = weight / sum end
  return weights
end

local function softmax_normal(stream, count, spread)
  local weights = {}
  for i = 1, count do weights[i] = math.exp(stream:normal(0, spread)) end
  return normalized(weights)
end

-- A function that draws i with probability weights[i].
local function drawer(weights)
  local cumulative, sum = {}, 0.0
  for i, weight in ipairs(weights) do
    sum = sum + weight
    cumulative[i] = sum
  end
  return function(stream)
    local target, low, high = stream:uniform() * sum, 1, #cumulative
    while low < high do
      local middle = (low + high) // 2
      if cumulative[middle] > target then high = middle else low = middle + 1 end
    end
    return low
  end
end

-- How many ratings each user gives: log-normal, `total` in all, none above `most`.
local function activity(stream, users, total, most)
  local counts = softmax_normal(stream, users, ACTIVITY_SPREAD)
  local left = total
  for user, share in ipairs(counts) do
    counts[user] = math.min(math.max(math.floor(share * total), 1), most)
    left = left - counts[user]
  end
  -- Rounding and the bounds leave some ratings over: the users get one more each, in turn.
  local user = 1
  while left ~= 0 do
    local step = left > 0 and 1 or -1
    if counts[user] + step >= 1 and counts[user] + step <= most then
      counts[user] = counts[user] + step
      left = left - step
    end
    user = user % users + 1
  end
  return counts
end

-- A grade from 1 to 5, for how much likelier the item is with this taste than by its popularity.
local function grade(stream, taste, topics, popularity, item)
  local likely = 0.0
  for k, share in ipairs(taste) do likely = likely + share * topics[k][item] end
  local liking = 3.0 + math.log(likely / popularity[item]) + stream:normal(0, 0.5)
  return math.min(math.max(math.floor(liking + 0.5), 1), 5) + 0.0
end

--- Generates ratings: grades from 1 to 5, ids from 1, times in the order in which a user rated. The
--- ratings depend on the options alone.
---@param options? lkrec.GenerateOptions
---@return lkrec.Ratings
-- Raises for an unknown option or one out of range, and when there are more ratings than a quarter of all
-- pairs, or fewer than users.
local function generate(options)
  options = check(options)
  local users, items, total, topic_count = options.users, options.items, options.ratings, options.topics
  if total > users * items // 4 or total < users then
    fail("lkrec.data.generate", "%d ratings of %d users and %d items; expected from %d to %d", total, users, items,
      users, users * items // 4)
  end
  local stream = lk.random.stream(options.seed)

  local rank = {}
  for i = 1, items do rank[i] = i end
  stream:shuffle(rank)
  local popularity = {}
  for i = 1, items do popularity[i] = (rank[i] + ZIPF_SHIFT) ^ -ZIPF_EXPONENT end
  normalized(popularity)
  local topics, draw_item = {}, {}
  for k = 1, topic_count do
    local weights = softmax_normal(stream, items, AFFINITY_SPREAD)
    for i = 1, items do weights[i] = weights[i] * popularity[i] end
    topics[k] = normalized(weights)
    draw_item[k] = drawer(weights)
  end
  local draw_popular = drawer(popularity)

  local result = { users = {}, items = {}, values = {}, times = {} }
  local n = 0
  for user, count in ipairs(activity(stream, users, total, math.max(items // 2, 1))) do
    local taste = softmax_normal(stream, topic_count, TASTE_SPREAD)
    local draw_topic = drawer(taste)
    local seen, given, tries = {}, 0, 0
    while given < count do
      tries = tries + 1
      local item
      if tries > 20 * count then -- this user has rated nearly all items that the taste makes likely
        item = stream:integer(1, items)
      elseif stream:uniform() < NOISE then
        item = draw_popular(stream)
      else
        item = draw_item[draw_topic(stream)](stream)
      end
      if not seen[item] then
        seen[item] = true
        given = given + 1
        n = n + 1
        result.users[n], result.items[n] = user, item
        result.values[n] = grade(stream, taste, topics, popularity, item)
        result.times[n] = given
      end
    end
  end

  local function ids(count)
    local list = {}
    for i = 1, count do list[i] = i end
    return list
  end
  return require("lkrec.data").from(result.users, result.items, result.values, result.times,
    ids(users), ids(items))
end

return generate

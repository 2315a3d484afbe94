--- How good a ranked list is, given what its user turned out to like.
---
--- Every metric is called as `metric(list, relevant, k)`: `list` the recommended items, best first;
--- `relevant` a table from item to grade (a number above 0, or true for 1), where an item that is
--- absent, or whose grade is 0, is not relevant; only the first `k` places count (default: all).
--- An empty list scores 0. Where nothing is relevant no list can be right or wrong: the result is
--- nil, and means leave that list out. A list in which an item occurs twice has no meaning here.
local lk = require "lkrun"
local fail = require "lkrun.internal.fail"

---@class lkrec.metrics
local metrics = {}

local function grade_of(relevant, item)
  local grade = relevant[item]
  if grade == true then return 1 end
  return grade or 0
end

-- The grades that are above 0, in no order.
local function grades_of(relevant)
  local grades = {}
  for item in pairs(relevant) do
    local grade = grade_of(relevant, item)
    if grade > 0 then grades[#grades + 1] = grade end
  end
  return grades
end

local function places(list, k) return math.min(k or #list, #list) end

local function hits_in(list, relevant, k)
  local hits = 0
  for rank = 1, places(list, k) do
    if grade_of(relevant, list[rank]) > 0 then hits = hits + 1 end
  end
  return hits
end

-- Discounted cumulative gain with base 2: the first two places count in full (Järvelin and
-- Kekäläinen, section 2), later ones by 1 / log2(rank).
local function cumulative_gain(gains, k)
  local sum = 0.0
  for rank = 1, places(gains, k) do sum = sum + gains[rank] / math.max(math.log(rank, 2), 1.0) end
  return sum
end

local function normalized_gain(list, relevant, k, gain)
  local ideal = grades_of(relevant)
  if #ideal == 0 then return nil end
  for i, grade in ipairs(ideal) do ideal[i] = gain(grade) end
  table.sort(ideal, function(a, b) return a > b end)
  local gains = {}
  for rank = 1, places(list, k) do gains[rank] = gain(grade_of(relevant, list[rank])) end
  return cumulative_gain(gains, k) / cumulative_gain(ideal, k)
end

--- Normalized discounted cumulative gain over the grades: 1 for the best possible order.
--- The ideal list is cut at `k` as well.
--- K. Järvelin and J. Kekäläinen: Cumulated gain-based evaluation of IR techniques. ACM TOIS 20(4),
--- 2002, section 2 (b = 2, gains as they are).
---@param list any[] # items, best first
---@param relevant table<any, number|boolean> # item → grade
---@param k? integer # places that count; default: the list, against an ideal of every relevant item
---@return number? # [0, 1]; nil when nothing is relevant
function metrics.graded_ndcg(list, relevant, k)
  return normalized_gain(list, relevant, k, function(grade) return grade end)
end

--- The same with gain 1 for every relevant item, whatever its grade.
---@param list any[]
---@param relevant table<any, number|boolean>
---@param k? integer
---@return number? # [0, 1]; nil when nothing is relevant
function metrics.ndcg(list, relevant, k)
  return normalized_gain(list, relevant, k, function(grade) return grade > 0 and 1 or 0 end)
end

--- The part of the relevant items that the list found.
--- C. J. van Rijsbergen: Information Retrieval, 2nd edition, 1979, chapter 7.
---@param list any[]
---@param relevant table<any, number|boolean>
---@param k? integer
---@return number? # [0, 1]; nil when nothing is relevant
function metrics.recall(list, relevant, k)
  local count = #grades_of(relevant)
  if count == 0 then return nil end
  return hits_in(list, relevant, k) / count
end

--- The part of the first k places that hold a relevant item. A list shorter than k has missed the
--- places that it left empty: the divisor is k all the same.
--- C. J. van Rijsbergen: Information Retrieval, 2nd edition, 1979, chapter 7.
---@param list any[]
---@param relevant table<any, number|boolean>
---@param k? integer
---@return number? # [0, 1]; nil when nothing is relevant
function metrics.precision(list, relevant, k)
  if #grades_of(relevant) == 0 then return nil end
  local length = k or #list
  return length == 0 and 0.0 or hits_in(list, relevant, k) / length
end

--- 1 if any of the first k places holds a relevant item, else 0.
--- M. Deshpande and G. Karypis: Item-based top-N recommendation algorithms. ACM TOIS 22(1), 2004.
---@param list any[]
---@param relevant table<any, number|boolean>
---@param k? integer
---@return number? # 0 or 1; nil when nothing is relevant
function metrics.hit_rate(list, relevant, k)
  if #grades_of(relevant) == 0 then return nil end
  return hits_in(list, relevant, k) > 0 and 1.0 or 0.0
end

--- 1 / rank of the first relevant item; 0 if there is none in the first k places.
--- E. M. Voorhees: The TREC-8 question answering track report. TREC-8, 1999.
---@param list any[]
---@param relevant table<any, number|boolean>
---@param k? integer
---@return number? # [0, 1]; nil when nothing is relevant
function metrics.reciprocal_rank(list, relevant, k)
  if #grades_of(relevant) == 0 then return nil end
  for rank = 1, places(list, k) do
    if grade_of(relevant, list[rank]) > 0 then return 1 / rank end
  end
  return 0.0
end

--- The mean of the precision at the rank of each relevant item, those not found counting 0. With k,
--- at most k items can be found: the divisor is the smaller of k and the number of relevant items.
--- C. Buckley and E. M. Voorhees: Evaluating evaluation measure stability. SIGIR 2000.
---@param list any[]
---@param relevant table<any, number|boolean>
---@param k? integer
---@return number? # [0, 1]; nil when nothing is relevant
function metrics.average_precision(list, relevant, k)
  local count = #grades_of(relevant)
  if count == 0 then return nil end
  local hits, sum = 0, 0.0
  for rank = 1, places(list, k) do
    if grade_of(relevant, list[rank]) > 0 then
      hits = hits + 1
      sum = sum + hits / rank
    end
  end
  return sum / math.min(count, k or count)
end

--- Rank-biased precision: what a reader finds, per item looked at, who goes on from each place to
--- the next with probability `patience`.
--- A. Moffat and J. Zobel: Rank-biased precision for measurement of retrieval effectiveness. ACM
--- TOIS 27(1), 2008.
---@param list any[]
---@param relevant table<any, number|boolean>
---@param k? integer
---@param patience? number # in (0, 1); default 0.8
---@return number? # [0, 1); nil when nothing is relevant
function metrics.rbp(list, relevant, k, patience)
  if #grades_of(relevant) == 0 then return nil end
  patience = patience or 0.8
  local sum, weight = 0.0, 1 - patience
  for rank = 1, places(list, k) do
    if grade_of(relevant, list[rank]) > 0 then sum = sum + weight end
    weight = weight * patience
  end
  return sum
end

--- The metrics that `evaluate` computes, in the order in which tables show them.
---@type string[]
metrics.names = {
  "ndcg", "graded_ndcg", "recall", "precision", "hit_rate", "reciprocal_rank", "average_precision", "rbp",
}

---@class lkrec.EvaluateOptions
---@field k? integer # places that count; default: as many as were recommended, n
---@field patience? number # of rbp, between 0 and 1; default 0.8
---@field n_jobs? integer # worker processes; default: lk.proc_count(); 1: none
---@field progress? lkrun.Progress|boolean # counts lists; true: a bar of its own

---@class lkrec.Evaluation
---@field means table<string, number> # metric → mean over the lists for which it is defined; none: nan
---@field lists table<string, lkrun.Tensor> # metric → its value for each evaluated list, f64
---@field users lkrun.Tensor # i64: whose lists were evaluated, in the order of `lists`
---@field skipped integer # lists left out because nothing is relevant to their user

--- Evaluates recommendations: every metric of `names` for every list, and its mean. The lists go in
--- blocks to worker processes; the result is the same for every n_jobs.
---@param recommendations lkrec.Recommendations # from lkrec.batch.recommend
---@param test lkrec.Ratings|lkrun.Sparse # what is relevant: a value is the grade of its item, above 0
---@param options? lkrec.EvaluateOptions
---@return lkrec.Evaluation
-- Raises when a grade is not above 0 (such ratings are to be left out, or moved up, first), for a user
-- or an item that the test does not have, and for an unknown option or one out of range.
function metrics.evaluate(recommendations, test, options)
  return require "lkrec.evaluate" (recommendations, test, options)
end

-- The differences of scores and values, f64, without the pairs whose score is not a number; and how many such
-- pairs there are.
local function errors_of(scores, values, where)
  local difference = lk.tensor.from(scores, "f64")
  if #difference ~= #values then
    fail(where, "%d scores and %d values; expected one of each for a pair", #difference, #values)
  end
  difference:sub(lk.tensor.from(values, "f64"))
  local sum = difference:sum()
  if sum == sum then return difference, 0 end
  local numbers = {}
  for i = 1, #difference do
    local value = difference[i]
    if value == value then numbers[#numbers + 1] = value end
  end
  return lk.tensor.from(numbers, "f64"), #difference - #numbers
end

--- The root of the mean squared error of scores. Pairs without a score (nan) are left out.
--- J. Herlocker, J. Konstan, L. Terveen, J. Riedl: Evaluating collaborative filtering recommender
--- systems. ACM TOIS 22(1), 2004, section 4.1.
---@param scores number[]|lkrun.Tensor # from lkrec.batch.predict
---@param values number[]|lkrun.Tensor # what the users said
---@return number # at least 0; nan when no pair has a score
---@return integer # pairs without a score
-- Raises when there are not as many scores as values.
function metrics.rmse(scores, values)
  local errors, missing = errors_of(scores, values, "lkrec.metrics.rmse")
  return math.sqrt(errors:dot(errors) / #errors), missing
end

--- The mean absolute error of scores. Pairs without a score (nan) are left out.
--- J. Herlocker and others, as `rmse`.
---@param scores number[]|lkrun.Tensor # from lkrec.batch.predict
---@param values number[]|lkrun.Tensor # what the users said
---@return number # at least 0; nan when no pair has a score
---@return integer # pairs without a score
-- Raises when there are not as many scores as values.
function metrics.mae(scores, values)
  local errors, missing = errors_of(scores, values, "lkrec.metrics.mae")
  return errors:abs():sum() / #errors, missing
end

return metrics

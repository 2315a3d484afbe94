-- The example, as its reader runs it.
local lk = require "lkrun"
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

local folder

local function read(name) return assert(folder:read(name)) end

local function run(words)
  local output = program.quote(folder.name)
  return program.shell(("$LKRUN examples/recommend.lua --quiet --output %s %s"):format(output, words))
end

-- Parts of every user's lists, worst to best, as the metrics file has them.
local function means()
  return lk.json.decode(read "metrics.json")
end

before_each(function() folder = new_folder() end)
after_each(function() folder:remove() end)

describe("examples/recommend.lua", function()
  it("clearly beats popularity on the generated ratings", function()
    local result = run ""
    assert.equal(0, result.status, result.err)
    assert.equal("", result.err)
    local models = means()
    for _, metric in ipairs { "ndcg", "graded_ndcg", "recall", "precision", "average_precision", "rbp" } do
      assert.is_true(models.ALS[metric] > 1.5 * models.popularity[metric], metric)
    end
    for _, metric in ipairs { "hit_rate", "reciprocal_rank" } do
      assert.is_true(models.ALS[metric] > 1.1 * models.popularity[metric], metric)
    end
    assert.matches("1000 users, 2000 items, 79998 ratings to train on, 20002 to test with", result.out)
    assert.matches(("ndcg +%.4f +%.4f\n"):format(models.popularity.ndcg, models.ALS.ndcg), result.out)
  end)

  it("writes n different items for every user, the best first", function()
    assert.equal(0, run("--n 3 --epochs 1 --factors 4").status)
    local users, last = {}, nil
    for line, row in lk.rows.read(folder:path "recommendations.csv", { header = false }) do
      if line == 1 then
        assert.same({ "user", "rank", "item", "score" }, row)
      else
        local user, rank, score = row[1], tonumber(row[2]), tonumber(row[4])
        users[user] = users[user] or {}
        assert.is_nil(users[user][row[3]])
        users[user][row[3]] = true
        assert.is_true(rank == 1 or rank == last.rank + 1 and score <= last.score)
        last = { rank = rank, score = score }
      end
    end
    local count = 0
    for _, items in pairs(users) do
      count = count + 1
      local n = 0
      for _ in pairs(items) do n = n + 1 end
      assert.equal(3, n)
    end
    assert.equal(1000, count)
  end)

  it("writes the same bytes for every number of workers", function()
    local function files(jobs)
      assert.equal(0, run("--epochs 2 --factors 8 --jobs " .. jobs).status)
      return { read "recommendations.csv", read "metrics.csv", read "metrics.json" }
    end
    local one = files(1)
    for _, jobs in ipairs { 2, 3 } do assert.same(one, files(jobs)) end
  end)

  it("names wrong options and ends with 2, a bad file with 1", function()
    for _, words in ipairs { "--foo", "--n", "--n x", "--epochs 1.5", "file.csv" } do
      local result = run(words)
      assert.equal(2, result.status)
      assert.matches("recommend.lua: '" .. words:gsub("%p", "%%%0"), result.err)
      assert.equal("", result.out)
    end
    local result = run("--ratings nowhere.csv")
    assert.equal(1, result.status)
    assert.matches("nowhere.csv: No such file or directory", result.err)
  end)

  local function movielens()
    for _, path in ipairs { os.getenv "LKRUN_RATINGS" or "", "../shared/data/ml-latest-small/ratings.csv" } do
      local file = path ~= "" and io.open(path)
      if file then
        file:close()
        return path
      end
    end
  end

  it("beats popularity on MovieLens ratings", function()
    local path = movielens()
    if not path then
      pending "no MovieLens ratings: set LKRUN_RATINGS=path/to/ratings.csv"
      return
    end
    local result = run("--ratings " .. program.quote(path))
    assert.equal(0, result.status, result.err)
    local models = means()
    for _, metric in ipairs { "ndcg", "graded_ndcg", "recall", "precision", "reciprocal_rank", "hit_rate" } do
      assert.is_true(models.ALS[metric] > 1.1 * models.popularity[metric], metric)
    end
  end)
end)

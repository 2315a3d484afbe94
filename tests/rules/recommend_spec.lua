-- The recommendation workflow, as it comes, as a module, and as Snakemake's own tools judge it.
local lk = require "lkrun"
local workflow = require "tests.snakemake.workflow"

local SNAKEFILE = workflow.rules .. "/recommend/Snakefile"
local SMALL = "{users: 60, items: 120, ratings: 1500}"

describe("The recommendation workflow", function()
  local reason = workflow.missing()
  if reason then return pending("makes a report of ratings (" .. reason .. ")") end

  local run
  lazy_setup(function()
    run = workflow.new {
      ["config.yaml"] = "generate: " .. SMALL .. "\nshards: 3\nblock: 7\nn: 5\nmodels:\n"
        .. "  popularity:\n  'k & n': {model: knn.item, feedback: implicit}\n"
        .. "  als: {model: als.implicit, factors: 4}\n",
      ["other/Snakefile"] = [[
module movies:
    snakefile: "RULES/recommend/Snakefile"
    config: {"generate": {"users": 60, "items": 120, "ratings": 1500}, "n": 5, "models": {"popularity": {}}}
    prefix: "movies"
use rule * from movies as movies_*
]],
    }
    run:succeed("--snakefile " .. SNAKEFILE .. " --configfile config.yaml --cores 2")
  end)
  lazy_teardown(function() run:remove() end)

  local function lines(path)
    local list = {}
    for line in assert(run:read(path), path):gmatch "[^\n]+" do list[#list + 1] = line end
    return list
  end

  it("recommends to every user with every model", function()
    for _, model in ipairs { "popularity", "k & n", "als" } do
      local list = lines("results/recommendations/" .. model .. ".csv")
      assert.equal("user,rank,item,score", list[1])
      assert.equal(1 + 60 * 5, #list)
      assert.truthy(list[2]:find "^1,1,")
      assert.truthy(list[#list]:find "^60,5,")
    end
  end)

  it("compares them in a table and in a plot", function()
    local rows = lines "results/metrics.csv"
    assert.equal("model,ndcg", rows[1]:match "^[^,]*,[^,]*")
    assert.equal(4, #rows)
    local means = lk.json.decode(run:read "results/metrics/als.json")
    assert.equal(("als,%.4f"):format(means.ndcg), rows[4]:match "^[^,]*,[^,]*")
    local plot = run:read "results/metrics.svg"
    local _, bars = plot:gsub("<title>[^<]*: %d", "")
    assert.equal(3 * 8, bars)
    assert.truthy(plot:find("k &amp; n, ndcg", 1, true))
  end)

  it("has nothing to do when it is run again", function()
    local out = run:succeed("--snakefile " .. SNAKEFILE .. " --configfile config.yaml --cores 2")
    assert.matches("Nothing to be done", out, 1, true)
  end)

  it("puts both into Snakemake's report", function()
    run:succeed("--snakefile " .. SNAKEFILE .. " --configfile config.yaml --report report.html")
    local report = run:read "report.html"
    assert.truthy(report:find("for lists of 5 items", 1, true))
    assert.truthy(report:find("results/metrics.svg", 1, true))
  end)

  it("gives the same as a module, however it is scattered", function()
    local list = "results/recommendations/popularity.csv"
    run:succeed("--snakefile other/Snakefile --cores 2 --set-scatter users=1 -- movies/" .. list)
    assert.equal(run:read(list), run:read("movies/" .. list))
  end)

  describe("with a configuration that it has no use for", function()
    local function refused(snakefile, config)
      local result = run:snakemake(("--snakefile %s --dry-run --config %s"):format(snakefile, config))
      assert.equal(1, result.status, result.out)
      return result.out
    end

    it("names the key, and the one that may be meant", function()
      assert.matches("unknown key 'shard' (did you mean 'shards'?); expected ratings, generate,",
        refused(SNAKEFILE, "shard=4"), 1, true)
      assert.matches("unknown key 'palette'; expected", refused(SNAKEFILE, "palette=4"), 1, true)
      assert.matches("unknown key 'split.metod' (did you mean 'split.method'?)",
        refused(SNAKEFILE, [["split={'metod': 'last'}"]]), 1, true)
    end)

    it("says that a model's name is part of a file's", function()
      assert.matches("'als/small' does not match", refused(SNAKEFILE, [["models={'als/small': {}}"]]), 1, true)
    end)

    it("leaves a workflow that uses it as a module the keys of its own", function()
      run:write("own/Snakefile", [[
module recommend:
    snakefile: "RULES/recommend/Snakefile"
    config: config
use rule * from recommend
]])
      local plan = run:succeed "--snakefile own/Snakefile --dry-run --config palette=4"
      assert.matches("recommendations +1\n", plan)
      assert.matches("did you mean 'shards'?", refused("own/Snakefile", "shard=4"), 1, true)
    end)
  end)

  it("pleases snakemake --lint and snakefmt", function()
    local lint = run:shell("snakemake --lint --snakefile " .. SNAKEFILE .. " 2>&1")
    assert.equal(0, lint.status, lint.out)
    assert.truthy(lint.out:find("Congratulations", 1, true), lint.out)
    local format = run:shell("cd " .. workflow.rules .. " && snakefmt --check lkrun.smk recommend wrappers 2>&1")
    assert.equal(0, format.status, format.out)
  end)
end)

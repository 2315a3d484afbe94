-- The wrappers' own test workflows, from a copy laid out as the snakemake-wrappers project is.
local lk = require "lkrun"
local workflow = require "tests.snakemake.workflow"

describe("The wrapper", function()
  local reason = workflow.missing()
  if reason then return pending("runs its test workflow (" .. reason .. ")") end

  local project
  lazy_setup(function()
    project = workflow.new {}
    project:shell("cp -r " .. workflow.rules .. "/wrappers master")
  end)
  lazy_teardown(function() project:remove() end)

  -- Runs a test workflow in its folder.
  local function run(wrapper, targets)
    return project:succeed(("--directory master/%s/test --snakefile master/%s/test/Snakefile --cores 2 "
      .. "--wrapper-prefix file://%s/ -- %s"):format(wrapper, wrapper, project.folder, targets))
  end
  local function result(wrapper, path) return project:read(("master/%s/test/%s"):format(wrapper, path)) end

  it("has the layout of the snakemake-wrappers project, each of them", function()
    project:write("check.py", [[
import pathlib, yaml
for meta in sorted(pathlib.Path("master").glob("*/*/meta.yaml")):
    folder, said = meta.parent, yaml.safe_load(meta.read_text())
    assert {"name", "description", "authors", "input", "output", "notes"} <= set(said), said
    assert all(isinstance(line, str) for line in said["input"] + said["output"] + said["authors"]), said
    environment = yaml.safe_load((folder / "environment.yaml").read_text())
    assert environment["channels"][0] == "conda-forge", environment
    assert environment["dependencies"], environment
    compile((folder / "wrapper.py").read_text(), "wrapper.py", "exec")
    assert (folder / "test" / "Snakefile").exists(), folder
    print(*folder.parts[1:])
]])
    local told = project:shell "python check.py"
    assert.equal("lkrec evaluate\nlkrec recommend\nlkrec train\nlkrun map\n", told.out, told.err)
  end)

  it("lkrun/map applies an operation, one shard a job", function()
    run("lkrun/map", "results/1-of-2.csv results/2-of-2.csv")
    assert.equal("id,result\na,1\nb,4\n", result("lkrun/map", "results/1-of-2.csv"))
    assert.equal("id,result\nc,9\nd,16\n", result("lkrun/map", "results/2-of-2.csv"))
  end)

  it("lkrec/train and lkrec/recommend give each user what it does not have", function()
    run("lkrec/recommend", "recommendations/als.csv")
    local lines, first = 0, nil
    for line in result("lkrec/recommend", "recommendations/als.csv"):gmatch "[^\n]+" do
      first = first or line
      lines = lines + 1
    end
    assert.equal("user,rank,item,score", first)
    assert.equal(1 + 60 * 5, lines)
    assert.truthy(result("lkrec/recommend", "logs/train.log"):find "als.implicit in")
  end)

  it("lkrec/evaluate writes the mean of each metric", function()
    run("lkrec/evaluate", "metrics/als.json")
    local means = lk.json.decode(result("lkrec/evaluate", "metrics/als.json"))
    assert.equal("float", math.type(means.ndcg))
    assert.equal("float", math.type(means.recall))
  end)
end)

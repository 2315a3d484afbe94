local new_folder = require "tests.support.folder"

describe("lkrun merge", function()
  local folder

  before_each(function() folder = new_folder() end)
  after_each(function() folder:remove() end)

  local function write(name, text) folder:write(name, text) end
  local function read(name) return folder:read(name) end

  local function run(command) return folder:lkrun(command) end

  local function assert_done(result) assert.equal(0, result.status, result.err) end

  -- Runs all tasks at once, and in so many shards, some of which write no row; merged, the shards are the same.
  local function assert_joins(extension, operation, shards, tasks)
    write("tasks.txt", tasks or "a\nb\n\nc\nd\ne\nnone\nnone\nf\ng\n")
    write("op.lua", operation)
    assert_done(run("map op.lua --tasks tasks.txt --seed 5 --output whole." .. extension))
    local names = {}
    for i = 1, shards do
      names[i] = ("part%d.%s"):format(i, extension)
      assert_done(run(("map op.lua --tasks tasks.txt --seed 5 --shard %d/%d --output %s"):format(i, shards, names[i])))
    end
    assert_done(run(("merge merged.%s %s"):format(extension, table.concat(names, " "))))
    assert.equal(read("whole." .. extension), read("merged." .. extension))
    assert.truthy(#read("whole." .. extension) > 0)
  end

  local rows = "return function(_, t) if t ~= 'none' then return %s end end"

  it("joins CSV and TSV, with one header", function()
    local operation = rows:format [[{ t = t .. ', "x"\ny', r = math.random(1000) }]]
    for _, shards in ipairs { 1, 2, 3, 7, 12 } do assert_joins("csv", operation, shards) end
    assert_joins("tsv", operation, 4)
    assert_joins("csv", "return { columns = { 'a' }, run = function() end }", 3)
  end)

  it("joins CSV whose later rows have fewer columns", function()
    assert_joins("csv", rows:format "{ a = 1, b = t < 'b' and t or nil }", 3, "a\na\nb\nc\nd\ne\n")
  end)

  it("joins JSON lines and plain lines", function()
    assert_joins("jsonl", rows:format "{ t, { r = math.random() } }", 4)
    assert_joins("txt", rows:format "{ t, t .. t }", 4)
  end)

  it("joins rows of .npy files", function()
    assert_joins("npy", rows:format "#t + 0.5", 4)
    assert_joins("npy", rows:format "{ #t, 2, 3 }", 9)
    assert_joins("npy", rows:format [[{
      require("lkrun").tensor.ones({ 2, 3 }, "f32"), require("lkrun").tensor.zeros({ 2, 3 }, "f32") }]], 9)
  end)

  it("writes the same to standard output", function()
    write("a.csv", "x\n1\n")
    write("b.csv", "")
    write("c.csv", "x\n2\n")
    local result = run "merge - a.csv b.csv c.csv"
    assert_done(result)
    assert.equal("x\n1\n2\n", result.out)
  end)

  it("refuses what is not of one map, and writes nothing then", function()
    local function refused(pattern, arguments)
      local result = run("merge " .. arguments)
      assert.equal(2, result.status)
      assert.matches("^lkrun: merge: " .. pattern, result.err)
      assert.is_nil(read "out.csv")
    end
    write("a.csv", "x\n1\n")
    write("b.csv", "y\n1\n")
    write("c.csv", "x\n1,2\n")
    refused("b.csv: it has a column 'y', which a.csv has not", "out.csv a.csv b.csv")
    refused("c.csv:2: 2 fields; expected 1", "out.csv a.csv c.csv")
    refused("none.csv: No such file", "out.csv a.csv none.csv")
    refused("a.csv is the output and a shard", "a.csv a.csv b.csv")
    refused("missing argument 'shards'", "out.csv")
    refused("the name of a does not say its format", "out a b")
    write("save.lua", [[
      local lk = require "lkrun"
      lk.save("a.npy", lk.tensor.ones { 2, 3 })
      lk.save("b.npy", lk.tensor.ones { 2, 4 })]])
    assert_done(run "save.lua")
    refused("b.npy: its rows are f64 4; those of a.npy are f64 3", "out.npy a.npy b.npy")
    assert.is_nil(read "out.npy")
  end)
end)

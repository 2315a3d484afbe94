local lk = require "lkrun"
local complete = require "lkrun.prompt.complete".complete
local lfs = require "lfs"
local program = require "tests.support.program"

-- Globals for the tests, gone after each.
local given = {}
local function give(name, value)
  given[#given + 1] = name
  rawset(_G, name, value)
end

local function listed(text)
  local insertion, listing = complete(text, 80)
  assert.is_nil(insertion)
  local names = {}
  for name in (listing or ""):gmatch "%S+" do names[name] = true end
  return names
end

describe("completion", function()
  before_each(function() give("lk", lk) end)
  after_each(function()
    for _, name in ipairs(given) do rawset(_G, name, nil) end
  end)

  it("inserts what all candidates share, and lists them where they share no more", function()
    give("prefix_one", 1)
    give("prefix_other", 2)
    assert.equal("fix_o", (complete("x = pre", 80)))
    assert.same({ prefix_one = true, prefix_other = true }, listed "prefix_o")
    assert.equal("er", (complete("print(prefix_oth", 80)))
    assert.is_nil((complete("prefix_other", 80)))
    assert.is_nil((complete("no_such_name", 80)))
  end)

  it("knows keywords", function()
    assert.equal("ction", (complete("local fun", 80)))
  end)

  it("knows fields, also behind indices", function()
    give("config", { first = { alpha = 1 }, { beta = 2 }, ["a key"] = { gamma = 3 } })
    assert.equal("st", (complete("config.fir", 80)))
    assert.equal("pha", (complete("config.first.al", 80)))
    assert.equal("ta", (complete("config[1].be", 80)))
    assert.equal("mma", (complete("config['a key'].ga", 80)))
    assert.is_nil((complete("config.missing.x", 80)))
    assert.is_nil((complete("make().x", 80)))
    assert.is_nil((complete("a..b.x", 80)))
  end)

  it("knows what is in lk before it is loaded", function()
    assert.equal("s", (complete("lk.tensor.zero", 80)))
    assert.equal("ode", (complete("lk.json.enc", 80)))
    assert.is_true(listed("lk.").invoker)
  end)

  it("knows what is in lkrec before it is loaded, and loads what is named alone", function()
    local result = program.output [[
      require "lkrun.prompt"
      local complete = require "lkrun.prompt.complete".complete
      local function listed(text)
        local _, listing = complete(text, 200)
        print((listing:gsub("%s+", " ")))
      end
      listed "lkrec."
      listed "lkrec.als."
      print(complete("lkrec.metrics.graded", 80))
      for _, name in ipairs {"lkrec.metrics", "lkrec.als.implicit", "lkrec.popularity"} do
        print(name, package.loaded[name] ~= nil)
      end]]
    assert.matches("^als batch bias data evaluate .* metrics [^\n]*popularity ", result)
    assert.matches("\nalternate explicit implicit\n_ndcg\n", result, 1, true)
    assert.matches("lkrec.metrics\ttrue\nlkrec.als.implicit\tfalse\nlkrec.popularity\tfalse\n$", result)
  end)

  it("knows names that a metatable says would be loaded, and loads nothing that is not ours", function()
    local trap = function() error "called" end
    give("lazy", setmetatable({ mine = 1 }, { __index = trap, __names = { { other = "no.such.module" }, {} } }))
    assert.same({ mine = true, other = true }, listed "lazy.")
    assert.is_nil((complete("lazy.other.x", 80)))
  end)

  it("knows methods of tensors, invokers and strings", function()
    give("matrix", lk.tensor.zeros { 2 })
    local methods = listed "matrix:"
    assert.is_true(methods.mv and methods.size and methods.topk)
    give("inv", lk.invoker(nil, function() end, { n_jobs = 1 }))
    assert.equal("p", (complete("inv:ma", 80)))
    give("name", "text")
    assert.equal("per", (complete("name:up", 80)))
    give("object", { field = 1, method = function() end })
    assert.equal("method", (complete("object:", 80)))
  end)

  it("follows __index tables, and never calls a function", function()
    local trap = function() error "called" end
    local base = setmetatable({ inherited = 1 }, { __index = trap, __pairs = trap, __call = trap })
    give("object", setmetatable({}, { __index = base, __tostring = trap, __len = trap }))
    assert.equal("erited", (complete("object.inh", 80)))
    assert.is_nil((complete("object.deep.x", 80)))
    give("round", {})
    setmetatable(round, { __index = round }) -- luacheck: ignore
    assert.is_nil((complete("round.x", 80)))
  end)

  it("knows modules after require", function()
    assert.equal("ity'", (complete("require 'lkrec.popular", 80)))
    assert.equal('am"', (complete('x = require("tests.support.progr', 80)))
  end)

  it("knows files in other strings", function()
    local folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
    lfs.mkdir(folder .. "/inner")
    for _, name in ipairs { "model.npy", "model.txt", ".hidden" } do io.open(folder .. "/" .. name, "w"):close() end
    assert.equal("del.", (complete("lk.load '" .. folder .. "/mo", 80)))
    assert.equal("py'", (complete("lk.load '" .. folder .. "/model.n", 80)))
    assert.equal("ner/", (complete('io.open("' .. folder .. "/in", 80)))
    assert.same({ ["inner/"] = true, ["model.npy"] = true, ["model.txt"] = true }, listed("'" .. folder .. "/"))
    assert.equal("dden'", (complete("'" .. folder .. "/.hi", 80)))
    os.execute("rm -r " .. folder)
  end)

  it("says nothing in comments and after finished values", function()
    assert.is_nil((complete("-- pri", 80)))
    assert.is_nil((complete("--[[ pri", 80)))
    assert.is_nil((complete("12", 80)))
    assert.is_nil((complete("f() ", 80)))
    assert.equal("t", (complete("--[[ x ]] prin", 80)))
    assert.equal("t", (complete("x = 'it' prin", 80)))
  end)

  it("lists in columns that fit", function()
    for i = 1, 30 do give(("column_%02d"):format(i), i) end
    local _, listing = complete("column_", 40)
    for line in listing:gmatch "[^\n]+" do assert.is_true(#line <= 40) end
  end)
end)

-- How messages name what a value is.
local lk = require "lkrun"
local value_text = require "lkrun.core.value_text"

describe("a value", function()
  it("is named by its type, with an article", function()
    local tensor = lk.tensor.ones { 1 }
    local one = lk.tensor.from({ 1 }, "i64")
    for _, case in ipairs { { {}, "a table" }, { 1, "a number" }, { "x", "a string" }, { print, "a function" },
      { coroutine.create(print), "a coroutine" }, { io.stdout, "a userdata (FILE*)" }, { lk.null, "lk.null" },
      { tensor, "a tensor" }, { lk.sparse.csr(one, one, tensor, { 1, 1 }), "a sparse matrix" },
      { lk.random.stream(1), "a random stream" }, { setmetatable({}, { __name = "mine" }), "a table" } } do
      assert.equal(case[2], value_text.type(case[1]))
    end
    assert.equal("nil", value_text.type(nil))
  end)

  it("is shown itself where that is short", function()
    assert.equal("'x'", value_text.brief "x")
    assert.equal("1.5", value_text.brief(1.5))
    assert.equal("false", value_text.brief(false))
    assert.equal("nil", value_text.brief(nil))
    assert.equal("a table", value_text.brief {})
  end)
end)

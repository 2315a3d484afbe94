local csv = require "lkrec.csv"

describe("lkrec.csv", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  local function read_all()
    local rows = {}
    for _, row in csv.rows(path) do rows[#rows + 1] = row end
    return rows
  end

  it("reads what it writes, whatever the name of the file", function()
    local rows = { { "plain", 'q"q', "a,b" }, { "two\nlines", "", "\r" }, { "é", " x ", "#" } }
    csv.write(path, { "one", "two", "three" }, rows)
    local back = read_all()
    assert.same({ "one", "two", "three" }, table.remove(back, 1))
    assert.same(rows, back)
  end)

  it("takes tabs where the header has them", function()
    do
      local file <close> = assert(io.open(path, "w"))
      file:write "a\tb\n1,5\t2\n"
    end
    assert.same({ { "a", "b" }, { "1,5", "2" } }, read_all())
  end)
end)

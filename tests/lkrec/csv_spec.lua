local csv = require "lkrec.csv"

local path

local function write(text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function read_all()
  local rows, lines = {}, {}
  for line, row in csv.rows(path) do
    rows[#rows + 1], lines[#lines + 1] = row, line
  end
  return rows, lines
end

-- busted's has_error would strip what looks like a position: our file and line.
local function message(func)
  local done, raised = pcall(func)
  assert.is_false(done)
  return raised
end

before_each(function() path = os.tmpname() end)
after_each(function() os.remove(path) end)

describe("lkrec.csv.rows", function()
  it("reads plain fields, empty ones included", function()
    write "a,b,c\n1,,3\n,,\n"
    assert.same({ { "a", "b", "c" }, { "1", "", "3" }, { "", "", "" } }, (read_all()))
  end)

  it("reads quoted fields with delimiters, quotes and line ends, and counts lines", function()
    write 'a,b\n"x,y","say ""hi"""\n"two\nlines, ""2""\n",z\nlast,""\n'
    local rows, lines = read_all()
    assert.same({
      { "a", "b" }, { "x,y", 'say "hi"' }, { 'two\nlines, "2"\n', "z" }, { "last", "" },
    }, rows)
    assert.same({ 1, 2, 3, 6 }, lines)
  end)

  it("takes CR LF, a byte order mark, empty lines and a last line without end", function()
    write '\xEF\xBB\xBFa,b\r\n1,2\r\n\r\n"3",4'
    local rows, lines = read_all()
    assert.same({ { "a", "b" }, { "1", "2" }, { "3", "4" } }, rows)
    assert.same({ 1, 2, 4 }, lines)
  end)

  it("takes tabs where the header has them", function()
    write "a\tb\n1,5\t2\n"
    assert.same({ { "a", "b" }, { "1,5", "2" } }, (read_all()))
  end)

  it("reads more columns than a pattern has captures", function()
    local header, row = {}, {}
    for i = 1, 40 do header[i], row[i] = "c" .. i, tostring(i) end
    write(table.concat(header, ",") .. "\n" .. table.concat(row, ",") .. "\n")
    assert.same({ header, row }, (read_all()))
  end)

  it("names file and line of a row with other fields than the header", function()
    write "a,b\n1,2\n1,2,3\n"
    assert.equal(("lkrun: lkrec.csv.rows: %s:3: 3 fields; expected 2, as in the header"):format(path),
      message(read_all))
    write "a,b\n1\n"
    assert.equal(("lkrun: lkrec.csv.rows: %s:2: 1 fields; expected 2, as in the header"):format(path),
      message(read_all))
  end)

  it("names file and line of broken quotes", function()
    write 'a,b\n"1"x,2\n'
    assert.equal(("lkrun: lkrec.csv.rows: %s:2: text after a closing quote; "
      .. "expected a delimiter or the end of the line"):format(path), message(read_all))
    write 'a,b\n1,2\n"3,4\n5,6\n'
    assert.equal(('lkrun: lkrec.csv.rows: %s:3: a quoted field does not end; expected a closing "')
      :format(path), message(read_all))
  end)

  it("names a file that is missing, and a directory", function()
    os.remove(path)
    assert.matches("lkrun: lkrec.csv.rows: .*No such file or directory; expected a readable file", message(read_all))
    path = "tests"
    assert.matches("lkrun: lkrec.csv.rows: tests:1: .*; expected a readable file", message(read_all))
    path = os.tmpname()
  end)
end)

describe("lkrec.csv.write", function()
  it("writes what csv.rows reads back", function()
    local rows = { { "plain", 'q"q', "a,b" }, { "two\nlines", "", "\r" }, { "é", " x ", "#" } }
    csv.write(path, { "one", "two", "three" }, rows)
    local back = read_all()
    assert.same({ "one", "two", "three" }, table.remove(back, 1))
    assert.same(rows, back)
  end)

  it("keeps every digit, and tells integers from floats", function()
    assert.equal("0.1,1,1,9223372036854775807,0.30000000000000004,,x",
      csv.record { 0.1, 1, 1.0, math.maxinteger, 0.1 + 0.2, nil, "x", n = 7 })
  end)

  it("takes rows from an iterator", function()
    local n = 0
    csv.write(path, { "n" }, function()
      n = n + 1
      return n <= 3 and { n } or nil
    end)
    assert.same({ { "n" }, { "1" }, { "2" }, { "3" } }, (read_all()))
  end)

  it("leaves the old file, and nothing else, when a row cannot be made", function()
    write "old\n"
    assert.has_error(function()
      csv.write(path, { "n" }, function() error("no more", 0) end)
    end, "no more")
    assert.same({ { "old" } }, (read_all()))
    assert.is_nil(io.open(path .. ".tmp"))
  end)

  it("names a file that cannot be written", function()
    assert.matches("lkrun: lkrec.csv.write: /nonexistent/x.csv: .*No such file",
      message(function() csv.write("/nonexistent/x.csv", { "a" }, {}) end))
  end)
end)

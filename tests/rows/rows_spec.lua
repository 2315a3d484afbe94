local lk = require "lkrun"
local core = require "lkrun.core.rows"

describe("lk.rows", function()
  local path, named

  -- A file of this extension.
  local function use(extension)
    named = path .. "." .. extension
    return named
  end

  before_each(function()
    path = os.tmpname()
    use "csv"
  end)
  after_each(function()
    os.remove(path)
    os.execute("rm -f " .. path .. ".*")
  end)

  local function write(text)
    local file <close> = assert(io.open(named, "wb"))
    assert(file:write(text))
  end

  local function text()
    local file <close> = assert(io.open(named, "rb"))
    return file:read "a"
  end

  local function read_all(options)
    local rows, lines = {}, {}
    for line, row in lk.rows.read(named, options) do
      rows[#rows + 1], lines[#lines + 1] = row, line
    end
    return rows, lines
  end

  -- busted's has_error would strip what looks like a position: our file and line.
  local function message(func, ...)
    local done, raised = pcall(func, ...)
    assert.is_false(done)
    return raised
  end

  local bare = { header = false }

  describe("read", function()
    it("gives CSV rows as tables by the names in the header, empty cells included", function()
      write "a,b,c\n1,,3\n,,\n"
      local rows, lines = read_all()
      assert.same({ { a = "1", b = "", c = "3" }, { a = "", b = "", c = "" } }, rows)
      assert.same({ 2, 3 }, lines)
    end)

    it("takes quoted fields with delimiters, quotes and line ends, and counts lines", function()
      write 'a,b\n"x,y","say ""hi"""\n"two\nlines, ""2""\n",z\nlast,""\n'
      local rows, lines = read_all(bare)
      assert.same({
        { "a", "b" }, { "x,y", 'say "hi"' }, { 'two\nlines, "2"\n', "z" }, { "last", "" },
      }, rows)
      assert.same({ 1, 2, 3, 6 }, lines)
    end)

    it("takes CR LF, a byte order mark, empty lines and a last line without end", function()
      write '\xEF\xBB\xBFa,b\r\n1,2\r\n\r\n"3",4'
      local rows, lines = read_all(bare)
      assert.same({ { "a", "b" }, { "1", "2" }, { "3", "4" } }, rows)
      assert.same({ 1, 2, 4 }, lines)
    end)

    it("takes a quote within a field, and a CR, as they are", function()
      write 'a,b\nx"y,"z\r\n"\n'
      assert.same({ { a = 'x"y', b = "z\r\n" } }, (read_all()))
      write "a,b\nx\ry,z\n"
      assert.same({ { a = "x\ry", b = "z" } }, (read_all()))
    end)

    it("splits at tabs in TSV, at any delimiter, and at the one that the header has", function()
      write "a;b\n1,5;2\n"
      assert.same({ { a = "1,5", b = "2" } }, (read_all { delimiter = ";" }))
      for _, header in ipairs { "a\tb", "a,b" } do
        write(header .. "\n" .. header:gsub("a", "1"):gsub("b", "2"))
        assert.same({ { a = "1", b = "2" } }, (read_all { delimiter = "" }))
      end
      use "tsv"
      write "a\tb,c\n1\t\"2\t3\"\n"
      assert.same({ { a = "1", ["b,c"] = "2\t3" } }, (read_all()))
    end)

    it("converts cells, keeps 64 bits, and gives nil for empty ones", function()
      write "i,x,b,s\n-9223372036854775808,1e300,true,01\n+7,-0.5,False,\n,,,\n"
      assert.same({
        { i = math.mininteger, x = 1e300, b = true, s = "01" }, { i = 7, x = -0.5, b = false, s = "" }, { s = "" },
      }, (read_all { types = { i = "i64", x = "f64", b = "bool" } }))
    end)

    it("refuses cells that are not of their type, with line and column", function()
      for cell, type in pairs {
        ["9223372036854775808"] = "i64", ["1.0"] = "i64", ["0x10"] = "i64", [" 1"] = "i64", ["-"] = "i64",
        ["1,5"] = "f64", ["1e"] = "f64", [" 2"] = "f64", ["yes"] = "bool",
      } do
        write(("a\n\n%s\n"):format(('"%s"'):format(cell)))
        assert.equal(("lkrun: lk.rows.read: %s:3: column a is '%s'; expected %s"):format(named, cell, type),
          message(read_all, { types = { a = type } }))
      end
    end)

    it("gives lines, also empty ones, and values of JSON", function()
      use "txt"
      write "a,\"\n\nb \r\nlast"
      assert.same({ 'a,"', "", "b ", "last" }, (read_all()))
      use "jsonl"
      write '{"a": [1, 9007199254740993]}\n  \n"x"\r\nnull\n'
      local rows, lines = read_all()
      assert.same({ { a = { 1, 9007199254740993 } }, "x", lk.null }, rows)
      assert.same({ 1, 3, 4 }, lines)
    end)

    it("gives rows of .npy files, numbers where there is one dimension", function()
      use "npy"
      lk.save(named, lk.tensor.from { { 1, 2 }, { 3, 4 } })
      local rows, lines = read_all()
      assert.same({ 1, 2 }, lines)
      assert.equal(4.0, rows[2]:get(2))
      lk.save(named, lk.tensor.from({ 5, math.maxinteger }, "i64"))
      assert.same({ 5, math.maxinteger }, (read_all()))
    end)

    it("reads a record of a megabyte, and thousands of columns", function()
      local long, wide = ("x\n"):rep(500000), {}
      for i = 1, 5000 do wide[i] = "c" .. i end
      write('a\n"' .. long .. '"\n')
      assert.equal(long, read_all()[1].a)
      write(table.concat(wide, ",") .. "\n" .. table.concat(wide, ","))
      assert.same({ wide, wide }, (read_all(bare)))
    end)

    it("unpacks files whose names say that they are compressed", function()
      for extension, program in pairs { gz = "gzip", xz = "xz", bz2 = "bzip2", zst = "zstd", lz4 = "lz4" } do
        use("csv." .. extension)
        local there = os.execute(("command -v %s >/dev/null && (printf 'a,b\\n'; seq -f '%%.0f,\"x' 100000 | "
          .. "sed 's/$/\"/') | %s -c >%s"):format(program, program, named))
        if there then
          local count = 0
          for line, row in lk.rows.read(named) do
            count = count + 1
            assert.truthy(line == count + 1 and row.a == tostring(count) and row.b == "x")
          end
          assert.equal(100000, count)
          os.execute(("truncate -s -20 %s"):format(named))
          assert.matches("^lkrun: lk.rows.read: " .. named:gsub("%p", "%%%0"), message(read_all))
        end
      end
      use "txt.gz"
      os.execute("printf '' | gzip -c >" .. named)
      assert.same({}, (read_all()))
      write "no gzip at all"
      assert.same({ "no gzip at all" }, (read_all()))
    end)

    it("names file and line of what is not a CSV", function()
      local function refused(line, what)
        assert.equal(("lkrun: lk.rows.read: %s:%d: %s"):format(named, line, what), message(read_all))
      end
      write "a,b\n1,2\n1,2,3\n"
      refused(3, "3 fields; expected 2, as in the header")
      write "a,b\n\n1\n"
      refused(3, "1 fields; expected 2, as in the header")
      write 'a,b\n"1"x,2\n'
      refused(2, "text after a closing quote; expected a delimiter or the end of the line")
      write 'a,b\n1,2\n"3,4\n5,6\n'
      refused(3, 'a quoted field does not end; expected a closing "')
    end)

    it("names a file that is missing, a folder, and one without header", function()
      assert.equal(("lkrun: lk.rows.read: %s: No such file or directory"):format(named), message(read_all))
      named = "tests"
      assert.matches("^lkrun: lk.rows.read: tests: it is a directory", message(read_all, { format = "csv" }))
      use "csv"
      write "\n\n"
      assert.matches("it is empty; expected a header", message(read_all))
      write "a,b,a\n"
      assert.matches("its header has the column 'a' twice", message(read_all))
    end)

    it("refuses options that it has not, and files whose format nobody says", function()
      write "a\n"
      assert.matches("unknown option 'type'", message(read_all, { type = {} }))
      assert.matches("header is 1; expected a boolean", message(read_all, { header = 1 }))
      assert.matches("expected one character", message(read_all, { delimiter = ",," }))
      assert.matches("no column 'b', for which a type is given", message(read_all, { types = { b = "i64" } }))
      assert.matches("its format is not known", message(lk.rows.read, path))
      assert.matches("its format is 'xml'", message(lk.rows.read, path, { format = "xml" }))
    end)

    it("gives tasks to an invoker, and closes the file when the loop ends early", function()
      write "a\n1\n2\n3\n"
      local inv <close> = lk.invoker(nil, function(_, row) return row.a .. "!" end, { n_jobs = 2 })
      local results = inv:collect(lk.rows.read(named))
      assert.same({ "1!", "2!", "3!" }, { results[1], results[2], results[3] })
      local step, _, _, closing = lk.rows.read(named)
      step()
      closing:close()
      assert.is_nil(step())
    end)
  end)

  describe("write", function()
    it("writes what read reads back", function()
      local rows = { { "plain", 'q"q', "a,b" }, { "two\nlines", "", "\r" }, { "é", " x ", "#" } }
      for _, extension in ipairs { "csv", "tsv" } do
        use(extension)
        lk.rows.write(named, rows, { columns = { "one", "two", 'th"ree' } })
        local back = read_all(bare)
        assert.same({ "one", "two", 'th"ree' }, table.remove(back, 1))
        assert.same(rows, back)
      end
    end)

    it("keeps every digit, and leaves cells of nothing empty", function()
      lk.rows.write(named, { { 0.1, 1, 1.0, math.maxinteger, 0.1 + 0.2, lk.null, true } },
        { columns = { "a", "b", "c", "d", "e", "f", "g" } })
      assert.equal("a,b,c,d,e,f,g\n0.1,1,1,9223372036854775807,0.30000000000000004,,true\n", text())
    end)

    it("writes a lone empty cell so that it is a row", function()
      lk.rows.write(named, { { "" }, { "x" } }, { columns = { "a" } })
      assert.same({ { a = "" }, { a = "x" } }, (read_all()))
    end)

    it("takes columns from the first row, and refuses new ones later", function()
      lk.rows.write(named, { { b = 1, a = 2 }, { a = 3 } })
      assert.equal("a,b\n2,1\n3,\n", text())
      assert.matches("row 2: it has a column 'c'", message(lk.rows.write, named, { { a = 1 }, { c = 1 } }))
      assert.matches("row 1: a row has a table as a key; expected a table of columns by name",
        message(lk.rows.write, named, { { [{}] = 1 } }))
    end)

    it("takes rows from an iterator", function()
      local n = 0
      lk.rows.write(named, function()
        n = n + 1
        return n <= 3 and { n } or nil
      end, { columns = { "n" } })
      assert.equal("n\n1\n2\n3\n", text())
    end)

    it("writes lines, JSON lines and .npy", function()
      use "txt"
      lk.rows.write(named, { "a", "", 5 })
      assert.equal("a\n\n5\n", text())
      use "jsonl"
      lk.rows.write(named, { { a = 1 }, { 1, 2 }, "x", 1.5 })
      assert.equal('{"a":1}\n[1,2]\n"x"\n1.5\n', text())
      use "npy"
      lk.rows.write(named, { { 1, 2 }, { 3, math.maxinteger } })
      local back = lk.load(named)
      assert.same({ 2, 2 }, back:size())
      assert.equal(math.maxinteger, back:get(2, 2))
      assert.matches("row 2: its rows are f64 2, the first result's are i64 2",
        message(lk.rows.write, named, { { 1, 2 }, { 3, 4.5 } }))
    end)

    it("leaves the old file, and nothing else, when a row cannot be made", function()
      write "old\n"
      assert.has_error(function()
        lk.rows.write(named, function() error("no more", 0) end, { columns = { "n" } })
      end, "no more")
      local rows = { { n = 1 }, { n = {} } }
      assert.matches("row 2: column n is a table", message(lk.rows.write, named, rows, { columns = { "n" } }))
      assert.equal("old\n", text())
      local folder, name = path:match "^(.*)/(.*)$"
      local pipe <close> = io.popen(("ls -A %s | grep -c '%s.*tmp'"):format(folder, name))
      assert.equal("0", pipe:read "l")
    end)

    it("names a file that cannot be written", function()
      assert.matches("^lkrun: lk.rows.write: /nonexistent/x.csv: its folder does not exist",
        message(lk.rows.write, "/nonexistent/x.csv", {}, { columns = { "a" } }))
    end)
  end)

  it("splits random records as a reader of one byte at a time does", function()
    local alphabet = { "a", ",", '"', "\n", "\r", "b", '""', "\r\n" }
    -- The records of a text by the letter of RFC 4180; nil where the text does not follow it.
    local function reference(bytes)
      local records, fields, at = {}, {}, 1
      while at <= #bytes do
        local field
        if bytes:sub(at, at) == '"' then
          local parts = {}
          at = at + 1
          while true do
            local quote = bytes:find('"', at, true)
            if not quote then return nil end
            parts[#parts + 1] = bytes:sub(at, quote - 1)
            at = quote + 1
            if bytes:sub(at, at) ~= '"' then break end
            parts[#parts + 1] = '"'
            at = at + 1
          end
          field = table.concat(parts)
          if not bytes:find("^[,\n]", at) and not bytes:find("^\r\n", at) and at <= #bytes then return nil end
        else
          local stop = at
          while stop <= #bytes and not bytes:find("^[,\n]", stop) and not bytes:find("^\r\n", stop) do
            stop = stop + 1
          end
          field = bytes:sub(at, stop - 1)
          at = stop
        end
        fields[#fields + 1] = field
        if bytes:sub(at, at) == "," then
          at = at + 1
          if at > #bytes then fields[#fields + 1] = "" end
        else
          at = at + (bytes:find("^\r\n", at) and 2 or 1)
        end
        if bytes:sub(at - 1, at - 1) ~= "," or at > #bytes then
          records[#records + 1], fields = fields, {}
        end
      end
      return records
    end
    math.randomseed(4180)
    local whole = 0
    for _ = 1, 3000 do
      local parts = {}
      for i = 1, math.random(1, 14) do parts[i] = alphabet[math.random(#alphabet)] end
      local bytes = table.concat(parts)
      local expected, width = reference(bytes), nil
      local kept = {}
      for _, record in ipairs(expected or {}) do
        -- An empty line is not a record. A line that is "" is one, but the reference gives the same for both.
        if #record > 1 or record[1] ~= "" then kept[#kept + 1] = record end
        width = width or #record > 1 and #record or width
      end
      local good, got = pcall(function()
        local reader, decode, records = core.over(bytes, ","), core.decoder ",", {}
        for _, record in reader:each(0) do
          local fields = decode(record)
          if #fields > 1 or fields[1] ~= "" then records[#records + 1] = fields end
        end
        return records
      end)
      if good then
        whole = whole + 1
        assert.same(kept, got, ("%q"):format(bytes))
      elseif expected then
        assert.matches("fields", got, nil, nil, ("%q"):format(bytes))
      end
    end
    assert.truthy(whole > 500)
  end)
end)

local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

describe("lkrun map", function()
  local folder

  before_each(function() folder = new_folder() end)
  after_each(function() folder:remove() end)

  local function write(name, text) folder:write(name, text) end
  local function read(name) return folder:read(name) end

  local function map(arguments) return folder:lkrun("map " .. arguments) end

  local function assert_done(result)
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end

  local function assert_fails(result, status, pattern)
    assert.matches(pattern, result.err)
    assert.equal(status, result.status)
  end

  local function entries() return folder:entries() end

  local echo = "return function(_, task) return task end"

  describe("formats", function()
    it("gives tasks of CSV as tables of strings by header name, and writes rows by sorted name", function()
      write("op.lua", "return function(_, task) return { name = task.name, kind = type(task.n) } end")
      write("tasks.csv", "\u{FEFF}name,n\r\n\"a \"\"b\"\", c\",1\r\n\"two\r\nlines\",2")
      assert_done(map "op.lua --tasks tasks.csv --output out.csv")
      assert.equal('kind,name\nstring,"a ""b"", c"\nstring,"two\r\nlines"\n', read "out.csv")
    end)

    it("converts cells of the types that are given, 64-bit integers without loss", function()
      write("op.lua", [[return function(_, t)
        return { t.id, math.type(t.x) or type(t.x), t.b == nil and "none" or t.b, t.s } end]])
      write("tasks.csv", "id,x,b,s\n9223372036854775807,2,true,007\n-9223372036854775808,,,\n")
      assert_done(map "op.lua --tasks tasks.csv --output out.jsonl --types id:i64,x:f64,b:bool")
      assert.equal('[9223372036854775807,"float",true,"007"]\n[-9223372036854775808,"nil","none",""]\n',
        read "out.jsonl")
    end)

    it("reads and writes JSON lines, plain lines and TSV", function()
      write("op.lua", "return function(_, task) return task.a and { task.a, { b = task.a } } or nil end")
      write("tasks.jsonl", '{"a": [1, 9007199254740993]}\n\n{"a": null}\n{}\n')
      assert_done(map "op.lua --tasks tasks.jsonl --output out.jsonl")
      assert.equal('[1,9007199254740993]\n{"b":[1,9007199254740993]}\n[null,{"b":null}]\n', read "out.jsonl")
      write("op.lua", "return function(_, line) return { line, '<' .. line .. '>' } end")
      write("tasks.txt", "a b\n\nc")
      assert_done(map "op.lua --tasks tasks.txt --output out.txt")
      assert.equal("a b\n<a b>\n\n<>\nc\n<c>\n", read "out.txt")
      write("op.lua", "return { columns = { 'x', 'y' }, run = function(_, t) return { t['a,b'], 1.5 } end }")
      write("tasks.tsv", "a,b\tc\n\"2\t3\"\t4\n")
      assert_done(map "op.lua --tasks tasks.tsv --output out.tsv")
      assert.equal('x\ty\n"2\t3"\t1.5\n', read "out.tsv")
    end)

    it("gives rows of a .npy file as tensors and writes tensors as its rows", function()
      write("make.lua", [[
        local lk = require "lkrun"
        local t = lk.tensor.zeros({ 5, 2 }, "f32")
        for i = 1, 5 do t:set(i, 1, i) t:set(i, 2, -i) end
        lk.save("tasks.npy", t)
        lk.save("model.npy", lk.tensor.from { 10, 100 })]])
      write("op.lua", "return function(model, row) return { row, row:clone():fill(model:get(2)) } end")
      write("show.lua", [[
        local t = require("lkrun").load "out.npy"
        print(t.dtype, t:size(1), t:size(2), t:get(9, 1), t:get(9, 2), t:get(10, 1))]])
      local result = program.shell(("cd %s && $LKRUN make.lua && LK_PROGRESS=none $LKRUN map op.lua --model model.npy "
        .. "--tasks tasks.npy --output out.npy && $LKRUN show.lua"):format(folder.name))
      assert.equal("", result.err)
      assert.equal("f32\t10\t2\t5.0\t-5.0\t100.0\n", result.out)
    end)

    it("takes - for standard input and output, and --format where no name tells", function()
      write("op.lua", echo)
      local result = program.shell(("cd %s && printf 'a\\n1\\n2\\n' | LK_PROGRESS=none $LKRUN map op.lua "
        .. "--tasks - --output - --format csv,jsonl"):format(folder.name))
      assert.equal("", result.err)
      assert.equal('{"a":"1"}\n{"a":"2"}\n', result.out)
      write("tasks", "x\n")
      assert_fails(map "op.lua --tasks tasks --output out.csv", 2, "^lkrun: map: .*expected %-%-format")
    end)
  end)

  describe("rows", function()
    it("may be missing, one or several to a task", function()
      write("op.lua", [[return function(_, line)
        local rows = {}
        for i = 1, tonumber(line) do rows[i] = { task = line, i = i } end
        if #rows == 1 then return rows[1] end
        if #rows > 0 then return rows end
      end]])
      write("tasks.txt", "2\n0\n1\n")
      assert_done(map "op.lua --tasks tasks.txt --output out.csv")
      assert.equal("i,task\n1,2\n2,2\n1,1\n", read "out.csv")
    end)

    it("take the columns of the first result, and may lack some of them later", function()
      write("op.lua", "return function(_, line) return { a = 1, b = line == 'x' and 2 or nil } end")
      write("tasks.txt", "x\ny\n")
      assert_done(map "op.lua --tasks tasks.txt --output out.csv")
      assert.equal("a,b\n1,2\n1,\n", read "out.csv")
      write("tasks.txt", "y\nx\n")
      assert_fails(map "op.lua --tasks tasks.txt --output new.csv", 1, "task 2.*column 'b'.*first result's are a")
      assert.is_nil(read "new.csv")
    end)

    it("have the columns that the operation names, and no other", function()
      write("op.lua", [[return {
        columns = { "b", "a" },
        run = function(_, line) return { a = line, c = line == "y" and 1 or nil } end }]])
      write("tasks.txt", "x\n")
      assert_done(map "op.lua --tasks tasks.txt --output out.csv")
      assert.equal("b,a\n,x\n", read "out.csv")
      write("tasks.txt", "x\ny\n")
      assert_fails(map "op.lua --tasks tasks.txt --output out.csv", 1, "task 2, tasks.txt:2 .*the key 'c'")
      assert.equal("b,a\n,x\n", read "out.csv")
    end)

    it("come with a header even where there are none, if the columns are named", function()
      write("op.lua", "return { columns = { 'b' }, run = function() end }")
      write("tasks.txt", "")
      assert_done(map "op.lua --tasks tasks.txt --output out.csv")
      assert.equal("b\n", read "out.csv")
    end)
  end)

  describe("the operation", function()
    it("gets the arguments of the command line, and its setup the model", function()
      write("op.lua", [[local args = ...
        return { setup = function(model, same) return { model, same.n + args.n } end,
                 run = function(model, task) return { type(model[1]), model[2], task } end }]])
      write("tasks.txt", "x\n")
      assert_done(map [[op.lua --tasks tasks.txt --output out.jsonl --op-args '{"n": 21}']])
      assert.equal('["nil",42,"x"]\n', read "out.jsonl")
    end)

    it("that is none is told before anything is done", function()
      write("tasks.txt", "x\n")
      assert_fails(map "op.lua --tasks tasks.txt --output out.txt", 2, "^lkrun: map: op.lua: No such file")
      write("op.lua", "return 1")
      assert_fails(map "op.lua --tasks tasks.txt --output out.txt", 2, "returns a number")
      for chunk, told in pairs {
        ["local function f() end"] = "it returns nothing; end it with `return f`",
        ["return { run = print, colums = {} }"] = "has 'colums' %(did you mean 'columns'%?%)",
        ["return { rum = print }"] = "has 'rum' %(did you mean 'run'%?%)",
        ["return { print }"] = "has elements that are not fields",
        ["return { columns = { 'a' } }"] = "it returns a table without `run`",
      } do
        write("op.lua", chunk)
        assert_fails(map "op.lua --tasks tasks.txt --output out.txt", 2, told)
      end
      write("op.lua", "return {")
      assert_fails(map "op.lua --tasks tasks.txt --output out.txt", 1, "op.lua:1: unexpected symbol")
      assert.equal("op.lua tasks.txt", entries())
    end)
  end)

  describe("shards", function()
    local random = "return function(_, line) return { line = line, r = math.random(1000000) } end"

    it("are contiguous ranges whose outputs together are those of one run, random numbers too", function()
      local lines = {}
      for i = 1, 23 do lines[i] = "t" .. i end
      write("tasks.txt", table.concat(lines, "\n"))
      write("op.lua", random)
      assert_done(map "op.lua --tasks tasks.txt --output all.csv --seed 7 --jobs 1")
      local parts = {}
      for i = 1, 5 do
        assert_done(map(("op.lua --tasks tasks.txt --output part.csv --seed 7 --shard %d%s5")
          :format(i, i % 2 == 0 and "/" or "-of-")))
        parts[i] = read "part.csv":gsub("^line,r\n", i == 1 and "%0" or "")
      end
      assert.equal(read "all.csv", table.concat(parts))
    end)

    it("of standard input, or out of range, are refused", function()
      write("op.lua", echo)
      assert_fails(map "op.lua --tasks - --format lines --output x.txt --shard 1/2", 2, "expected a file")
      for _, shard in ipairs { "0/2", "3/2", "1", "a/b", "1/0" } do
        assert_fails(map("op.lua --tasks - --format lines --output x.txt --shard " .. shard), 2, "is not a shard")
      end
    end)
  end)

  describe("a failed task", function()
    before_each(function()
      write("op.lua", "return function(_, line) if line:find 'bad' then error('no ' .. line, 0) end return line end")
      write("tasks.txt", "a\nbad1\nb\nbad2\n")
    end)

    it("ends the run, named with its line, and there is no output", function()
      assert_fails(map "op.lua --tasks tasks.txt --output out.txt", 1,
        "^lkrun: map: task 2, tasks.txt:2 .*: no bad1\nwhere")
      assert.equal("op.lua tasks.txt", entries())
    end)

    it("is left out and listed with --on-error skip", function()
      assert_fails(map "op.lua --tasks tasks.txt --output out.txt --on-error skip --failed bad.csv", 1,
        "^lkrun: map: 2 of 4 tasks failed; they are in bad.csv\n$")
      assert.equal("a\nb\n", read "out.txt")
      assert.equal("task,line,reason,error,record\n2,2,error,no bad1,bad1\n4,4,error,no bad2,bad2\n", read "bad.csv")
    end)

    it("that kills its worker is tried again", function()
      write("op.lua", [[return function(_, line)
        local first = io.open("tried")
        if line == "b" and not first then io.open("tried", "w"):close() os.exit(3) end
        return line
      end]])
      assert_fails(map "op.lua --tasks tasks.txt --output out.txt", 1, "task 3, tasks.txt:3 killed worker")
      os.remove(folder:path "tried")
      assert_done(map "op.lua --tasks tasks.txt --output out.txt --retries 1")
      assert.equal("a\nbad1\nb\nbad2\n", read "out.txt")
    end)
  end)

  describe("tasks that can't be used", function()
    before_each(function() write("op.lua", echo) end)

    it("are refused before the work begins, with file and line", function()
      local function refused(name, text, pattern, more)
        write(name, text)
        local result = map(("op.lua --tasks %s --output out.jsonl %s"):format(name, more or ""))
        assert_fails(result, 2, "^lkrun: map: " .. pattern)
        assert.is_nil(read "out.jsonl")
      end
      refused("a.csv", "a,b\n1,2\n3\n", "a.csv:3: 1 fields; expected 2, as in the header\n$")
      refused("b.csv", 'a\n1\n"x\n\n', "b.csv:3: a quoted field does not end")
      refused("c.csv", 'a\n"x"y\n', "c.csv:2: text after a closing quote")
      refused("d.csv", "a,a\n", "d.csv: its header has the column 'a' twice")
      refused("e.csv", "", "e.csv: it is empty; expected a header")
      refused("f.csv", "a\n1\n", "f.csv: it has no column 'b'", "--types b:i64")
      refused("g.csv", "a\n1\nx\n", "g.csv:3: column a is 'x'; expected i64", "--types a:i64")
      refused("h.jsonl", '1\n{"a": 2\n', "h.jsonl:2: column")
    end)

    it("are told from a missing file", function()
      assert_fails(map "op.lua --tasks none.csv --output out.csv", 2, "none.csv: No such file or directory")
      assert_fails(map "op.lua --tasks op.lua --format csv --model none.npy --output out.csv", 2,
        "^lkrun: map: %-%-model: none.npy: No such file")
    end)

    it("are told from a folder that is missing", function()
      local missing = "nowhere/[%w.-]+: its folder does not exist; make it first\n$"
      local words = "op.lua --tasks op.lua --format lines "
      assert_fails(map(words .. "--output nowhere/out.txt"), 2, missing)
      assert_fails(map(words .. "--output nowhere/out.txt --resume"), 1, missing)
      assert_fails(map(words .. "--output out.txt --on-error skip --failed nowhere/failed.csv"), 2, missing)
    end)
  end)

  it("does nothing with --dry-run but say what it would do", function()
    write("op.lua", "return { columns = { 'a' }, run = function() end }")
    write("tasks.txt", "1\n2\n3\n4\n")
    local result = map "op.lua --tasks tasks.txt --output out.csv --shard 2/2 --dry-run --jobs 3"
    assert.equal(0, result.status)
    assert.matches("tasks:     tasks.txt %(lines%): 2 of 4, from 3 to 4\n", result.out)
    assert.matches("jobs:      3\n", result.out)
    assert.equal("op.lua tasks.txt", entries())
  end)

  it("refuses wrong use in one line", function()
    for arguments, pattern in pairs {
      [""] = "missing argument",
      ["op.lua --tasks a.csv"] = "missing option '%-%-output'",
      ["op.lua --tasks a.csv --output b.csv --jobs 0"] = "'0' is not an integer",
      ["op.lua --tasks a.csv --output b.csv --bogus"] = "unknown option '%-%-bogus'",
      ["op.lua --tasks a.csv --output b.csv --failed c.csv"] = "without %-%-on%-error skip; expected both",
      ["op.lua --tasks a.csv --output b.csv --op-args {"] = "%-%-op%-args",
      ["op.lua --tasks a.csv --output b.csv --memory-limit 12x"] = "not a number of bytes",
    } do
      local result = map(arguments)
      assert_fails(result, 2, "^lkrun: map: [^\n]*" .. pattern .. "[^\n]*\n$")
    end
  end)

  it("speaks of its options as they are typed", function()
    write("op.lua", "return function(_, what) if what == 'exit' then os.exit(3) end while true do end end")
    write("tasks.txt", "exit\n")
    assert_fails(map "op.lua --tasks tasks.txt --output out.txt --jobs 2", 1, "; %-%-retries 1 would run it again")
    assert_fails(map "op.lua --tasks tasks.txt --output out.txt --jobs 2 --on-error skip", 1,
      "; %-%-retries 1 would run it again")
    write("tasks.txt", "hang\n")
    assert_fails(map "op.lua --tasks tasks.txt --output out.txt --jobs 2 --timeout 0.2", 1,
      "; %-%-retries 1 would run it again")
    write("op.lua", "return function() local all = {} for i = 1, math.huge do all[i] = { i } end end")
    assert_fails(map "op.lua --tasks tasks.txt --output out.txt --jobs 2 --memory-limit 20M", 1,
      "more than its %-%-memory%-limit of 20971520 bytes[^;]*; %-%-retries 1 would")
    write("op.lua", "return function(_, line) return line end")
    local result = map "op.lua --tasks tasks.txt --output out.txt --jobs 1 --timeout 5"
    assert.equal(0, result.status)
    assert.matches("WARN lkrun: map: %-%-timeout and %-%-memory%-limit have no effect with %-%-jobs 1", result.err)
    assert.equal(1, select(2, result.err:gsub("WARN", "")))
  end)

  it("ends with 143 on SIGTERM, leaving no output and no worker", function()
    write("op.lua", [[return function(_, line) io.open("begun", "w"):close() while true do end end]])
    write("tasks.txt", "1\n2\n3\n")
    local result = program.shell(([[cd %s
      LK_NUM_PROCS=2 LK_PROGRESS=none $LKRUN map op.lua --tasks tasks.txt --output out.txt & pid=$!
      until [ -e begun ]; do :; done
      kill -TERM $pid
      wait $pid; echo $?
      for process in /proc/[0-9]*; do
        case $(readlink $process/cwd)$(readlink $process/exe) in $PWD*/lkrun) echo $process ;; esac
      done]]):format(folder.name))
    assert.equal("143\n", result.out)
    assert.equal("begun op.lua tasks.txt", entries())
  end)
end)

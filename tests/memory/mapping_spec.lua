-- Files mapped into memory: what is shared, what is read-only, and what happens when a file is cut off.
local lk = require "lkrun"
local await = require "tests.support.await"
local new_folder = require "tests.support.folder"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

describe("a mapped file", function()
  local folder, path
  setup(function()
    folder = new_folder()
    path = folder:path "model.npy"
  end)
  teardown(function() folder:remove() end)

  local ROWS <const> = 300
  local function saved(dtype)
    lk.save(path, lk.tensor.ones({ ROWS, 1000 }, dtype))
    return path
  end

  local function cut_off() assert(os.execute("truncate -s 100000 '" .. path .. "'")) end
  local pattern = "model.npy: the file lost data while it was mapped"

  -- How much of a process's memory is the file's, in KiB, by a field of smaps: Rss; or Pss, where a page that
  -- n processes have is 1/n each.
  local function kib_of(pid, field)
    local kib, inside = 0, false
    for line in io.lines(("/proc/%s/smaps"):format(pid)) do
      if line:find "^%x+%-%x+ " then inside = line:find(path, 1, true) end
      local size = line:match("^" .. field .. ":%s+(%d+)")
      if size and inside then kib = kib + tonumber(size) end
    end
    return kib
  end

  it("is the tensor's memory, and none of the process's own", function()
    saved "f64"
    collectgarbage()
    collectgarbage()
    local bytes = require("lkrun.core.tensor").bytes()
    local t = lk.load(path)
    assert.equal(ROWS * 1000.0, t:sum())
    assert.is_true(kib_of("self", "Rss") >= ROWS * 1000 * 8 // 1024)
    assert.is_true(require("lkrun.core.tensor").bytes() <= bytes)
    local view = lk.load(path):narrow(1, 2, 5)
    collectgarbage()
    collectgarbage()
    assert.equal(5000.0, view:sum())
  end)

  it("goes when the last view does", function()
    do lk.load(saved "f64"):sum() end
    collectgarbage()
    collectgarbage()
    assert.equal(0, kib_of("self", "Rss"))
  end)

  it("is read-only, and a copy is not", function()
    local t = lk.load(saved "f64")
    assert.error_matches(function() t:set(1, 1, 2) end,
      "lkrun: tensor:set: this tensor was loaded from a file, and is read%-only; write to tensor:clone%(%), or load it")
    assert.error_matches(function() t:fill(0) end, "read%-only")
    t:clone():fill(0)
    local copy = lk.load(path, { copy = true })
    copy:fill(7)
    assert.equal(1.0, t:get(1, 1))
    assert.error_matches(function() lk.invoker(t, print, { writable = { t } }) end, "pass its clone")
  end)

  it("is read-only where it is small, and so read instead", function()
    local small = folder:path "small.npy"
    lk.save(small, lk.tensor.ones { 3 })
    assert.error_matches(function() lk.load(small):fill(0) end, "was loaded from a file")
    lk.load(small, { copy = true }):fill(0)
  end)

  it("is copied where it is misaligned, swapped, or bool", function()
    local header = "{'descr': '<f8', 'fortran_order': False, 'shape': (20000,)}"
    for _, padding in ipairs { 0, 1, 4 } do
      for order, pack in pairs { ["<"] = "<d", [">"] = ">d" } do
        local text = header:gsub("<f8", order .. "f8") .. (" "):rep(padding) .. "\n"
        local file <close> = io.open(path, "wb")
        file:write("\x93NUMPY\1\0", string.pack("<I2", #text), text)
        file:write(string.pack(pack, 1.5):rep(19999), string.pack(pack, 2.5)):close()
        local t = lk.load(path)
        assert.equal(19999 * 1.5 + 2.5, t:sum())
      end
    end
    local file <close> = io.open(path, "wb")
    header = "{'descr': '|b1', 'fortran_order': False, 'shape': (100000,)}\n"
    file:write("\x93NUMPY\1\0", string.pack("<I2", #header), header, ("\2"):rep(100000)):close()
    assert.equal(100000, lk.load(path):sum())
  end)

  it("is one copy for worker processes, threads and spawned processes", function()
    local t = lk.load(saved "f32")
    for _, workers in ipairs { "processes", "threads", "spawn" } do
      local inv <close> = lk.invoker({ t = t }, function(m, row)
        local maps <close> = io.open "/proc/self/maps"
        return m.t:select(1, row):sum(), maps:read "a":find(path, 1, true) ~= nil, pcall(m.t.set, m.t, 1, 1, 5)
      end, { n_jobs = 2, workers = workers })
      for _, sum, is_mapped, written, message in inv:map { 1, 2, ROWS } do
        assert.equal(1000.0, sum)
        assert.is_true(is_mapped)
        assert.is_false(written)
        assert.matches("was loaded from a file, and is read%-only", message)
      end
    end
  end)

  it("is one copy for ten programs that load it", function()
    saved "f64"
    folder:write("load.lua", [[
      local t = require("lkrun").load(arg[1])
      assert(t:sum() == t:numel())
      local file <close> = io.open(arg[2] .. ".new", "w")
      file:write((io.open "/proc/self/stat":read "n")):close()
      os.rename(arg[2] .. ".new", arg[2])
      io.read "a" -- until the test closes it
    ]])
    local programs, sum = {}, 0
    for i = 1, 10 do
      local words = { program.executable, folder:path "load.lua", path, folder:path("pid" .. i) }
      for k, word in ipairs(words) do words[k] = program.quote(word) end
      programs[i] = io.popen(table.concat(words, " "), "w")
    end
    for i = 1, 10 do
      await(function() return folder:read("pid" .. i) end, "a program that loads the file")
    end
    for i = 1, 10 do sum = sum + kib_of(folder:read("pid" .. i), "Pss") end
    for _, one in ipairs(programs) do assert.is_true(one:close()) end
    local file_kib = ROWS * 1000 * 8 / 1024
    assert.is_true(sum > 0.9 * file_kib and sum < 1.1 * file_kib, ("%g KiB of %g"):format(sum, file_kib))
  end)

  it("is several files, and several parts of one, for spawned processes", function()
    local model = { whole = lk.load(saved "f32") }
    for i = 1, 40 do -- a spawned worker maps at most 32 files
      local name = folder:path(i .. ".lkz")
      lk.save(name, { a = lk.tensor.full({ 20000 }, i), b = lk.tensor.full({ 30000 }, -i) })
      model[i] = lk.load(name)
    end
    local tasks = {}
    for i = 1, 40 do tasks[i] = i end
    local function round()
      local inv <close> = lk.invoker(model, function(m, i) return m[i].a:sum(), m[i].b:sum(), m.whole:sum() end,
        { n_jobs = 2, workers = "spawn" })
      for i, a, b, whole in inv:map(tasks) do
        assert.same({ 20000.0 * i, -30000.0 * i, 300000.0 }, { a, b, whole })
      end
    end
    round() -- what is opened once and for all
    local open = processes.count_descriptors()
    round()
    assert.equal(open, processes.count_descriptors())
  end)

  it("is what it was for spawned processes, though its name is another file's by then, or no file's", function()
    local function replace_it() lk.save(path, lk.tensor.zeros { ROWS, 1000 }) end
    local function remove_it() os.remove(path) end
    for _, change in ipairs { replace_it, remove_it } do
      local t = lk.load(saved "f64")
      change()
      local inv <close> = lk.invoker(t, function(m) return m:sum() end, { n_jobs = 2, workers = "spawn" })
      assert.same({ 300000.0, 300000.0 }, { table.unpack(inv:collect { 1, 2 }, 1, 2) })
    end
  end)

  it("that is cut off is an error of the task that needs what is gone, with every kind of worker", function()
    for _, options in ipairs {
      { n_jobs = 2 }, { n_jobs = 1 }, { n_jobs = 2, workers = "threads" }, { n_jobs = 2, workers = "spawn" },
    } do
      local t = lk.load(saved "f64")
      options.on_error = "return"
      local inv <close> = lk.invoker(t, function(m, row) return m:select(1, row):sum() end, options)
      assert.same({ 1000.0, 1000.0 }, { table.unpack(inv:collect { 1, ROWS }, 1, 2) })
      cut_off()
      for _ = 1, 2 do
        local results = inv:collect { 1, ROWS, 2 }
        for _, i in ipairs { 1, 3 } do
          if options.workers == "threads" and results.errors[i] then -- ran while another task met the loss
            assert.matches(pattern, results.errors[i].message)
          else
            assert.equal(1000.0, results[i])
          end
        end
        assert.is_nil(results[2])
        assert.equal("error", results.errors[2].reason)
        assert.matches(pattern, results.errors[2].message)
      end
    end
  end)

  it("that is cut off is an error of the program, each time, in every kind of call", function()
    local t = lk.load(saved "f64")
    cut_off()
    local ones = lk.tensor.ones { 1000 }
    for _ = 1, 2 do
      assert.error_matches(function() t:sum() end, pattern)
      assert.error_matches(function() return t:sum() end, pattern)
      assert.error_matches(function() return t:mv(ones) end, pattern)
      assert.error_matches(function() lk.save(folder:path "copy.npy", t) end, "has lost it")
      local ok, message = coroutine.resume(coroutine.create(function() return t:clone() end))
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    assert.equal(10000.0, t:narrow(1, 1, 10):sum())
  end)

  it("that is cut off while threads of the backend read it is an error of the program", function()
    saved "f64"
    local result = program.run([[
      local lk = require "lkrun"
      local t = lk.load(arg[1])
      lk.tensor.ones { 300, 1000 }:mv(lk.tensor.ones { 1000 })
      os.execute("truncate -s 100000 '" .. arg[1] .. "'")
      local b = lk.tensor.ones { 1000, 50 }
      for _ = 1, 20 do
        local ok, message = pcall(function() t:mm(b) return 1 end)
        print(ok, message)
      end
    ]], { args = { path }, env = { LK_NUM_THREADS = "1", LK_NUM_BACKEND_THREADS = "3" } })
    local count = 0
    for line in result.out:gmatch "[^\n]+" do
      assert.matches("^false\t.*" .. pattern, line)
      count = count + 1
    end
    assert.equal(20, count, result.out .. result.err)
  end)

  it("that is cut off ends a program that does not catch the error with status 1", function()
    saved "f64"
    local result = program.run([[
      local t = require("lkrun").load(arg[1])
      os.execute("truncate -s 0 '" .. arg[1] .. "'")
      print(t:sum())
    ]], { args = { path } })
    assert.equal(1, result.status)
    assert.matches("^lkrun: .*" .. pattern, result.err)
    assert.equal("", result.out)
  end)

  it("that is cut off is an error of the task in another host's workers too", function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a stock Lua lacks the sanitizer's runtime" end
    local core = program.executable:match "^(.*)/lkrun$" .. "/lib/?.so"
    saved "f64"
    local result = program.shell(([[lua5.4 -e 'package.cpath = "%s"
      local lk = require "lkrun"
      local model = lk.load "%s"
      local inv <close> = lk.invoker(model, function(m, row) return m:select(1, row):sum() end,
        { n_jobs = 2, on_error = "return" })
      os.execute "truncate -s 100000 %s"
      local results = inv:collect { 1, 300 }
      print(results[1], results.errors[2])']]):format(core, path, path))
    assert.matches("^1000.0\t.*" .. pattern, result.out .. result.err)
  end)

  it("that can be mapped, but has no room as a copy, is named", function()
    saved "f64"
    local result = program.run([[
      local lk = require "lkrun"
      print(lk.load(arg[1]):sum())
      print(pcall(lk.load, arg[1], { copy = true }))
    ]], { args = { path }, env = { LK_REGION_SIZE = "1048576" } })
    assert.matches("^300000.0\nfalse\tlkrun: lk.load: " .. path .. ": no room for its 2400000 bytes: the region is",
      result.out)
  end)

  it("leaves other bus errors what they are", function()
    local result = program.run "os.execute('kill -BUS $PPID') print 'still here'"
    assert.same({ "signal", 7 }, { result.how, result.status })
  end)
end)

-- How func and model come to a worker that is not a fork. The workers here are threads.
-- runs under: thread
local lk = require "lkrun"
local program = require "tests.support.program"

-- The results of one task in a thread.
local function in_thread(model, func, task)
  local inv <close> = lk.invoker(model, func, { n_jobs = 2, workers = "threads" })
  return inv:submit(task == nil and lk.null or task):get()
end

local function refused(message, model, func)
  local ok, err = pcall(lk.invoker, model, func, { n_jobs = 2, workers = "threads" })
  assert.is_false(ok)
  assert.equal("lkrun: lk.invoker: " .. message, err)
end

describe("functions are carried", function()
  it("with their constants and upvalues", function()
    local integer, float, text, long, yes, nothing = math.mininteger, -0.0, "a\0b", ("x"):rep(1e5), true, nil
    local values = table.pack(in_thread(nil, function(_, task)
      return task, integer, float, text, #long, yes, nothing, 12345678901, "constant"
    end, 7))
    assert.same({ n = 9, 7, math.mininteger, 0.0, "a\0b", 100000, true, nil, 12345678901, "constant" }, values)
    assert.equal(-math.huge, 1 / values[3])
  end)

  it("nested, recursive and mutually recursive", function()
    local function factorial(n) return n == 0 and 1 or n * factorial(n - 1) end
    local is_odd
    local function is_even(n) if n == 0 then return true end return is_odd(n - 1) end
    function is_odd(n) if n == 0 then return false end return is_even(n - 1) end
    local function outer(n)
      local function inner(m) return factorial(m) end
      return inner(n)
    end
    assert.same({ 120, true, false }, { in_thread(nil, function(_, n)
      return outer(n), is_odd(n), is_even(n)
    end, 5) })
  end)

  it("with upvalues that they share", function()
    local count = 10
    local function add() count = count + 1 end
    local function read() return count end
    assert.equal(12, (in_thread({ add = add, read = read }, function(model)
      model.add()
      add()
      assert(model.read() == count and model.add == add)
      return read()
    end)))
    assert.equal(10, count)
  end)

  it("chains of thousands", function()
    local f = function() return 0 end
    for _ = 1, 3000 do
      local inner = f
      f = function() return inner end
    end
    assert.equal(3000, (in_thread(f, function(model)
      local depth = 0
      while model() ~= 0 do model, depth = model(), depth + 1 end
      return depth
    end)))
  end)

  it("with the lines of their errors", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, err = pcall(in_thread, nil, function() error "no" end)
    assert.is_false(ok)
    assert.matches("carry_spec.lua:" .. line .. ": no", err.message, 1, true)
  end)

  it("as a model's methods, with its metatables", function()
    local Point = {}
    Point.__index = Point
    Point.__add = function(a, b) return setmetatable({ x = a.x + b.x }, Point) end
    function Point:double() return 2 * self.x end
    local sum = in_thread(setmetatable({ x = 3 }, Point), function(p, x)
      local q = p + setmetatable({ x = x }, Point)
      return q:double()
    end, 4)
    assert.equal(14, sum)
  end)

  it("even where func is a callable table", function()
    local adder = setmetatable({ by = 5 }, { __call = function(self, model, task) return self.by + model + task end })
    assert.equal(8, (in_thread(1, adder, 2)))
  end)
end)

describe("values are carried", function()
  it("tables: shared, cyclic, keyed by tables", function()
    local key, shared = {}, { 1, 2, 3 }
    local model = { a = shared, b = shared, [key] = "by a table", key = key, [1.5] = true }
    model.self = model
    assert.same({ true, true, "by a table", 3, true }, { in_thread(model, function(m)
      return m.a == m.b, m.self == m, m[m.key], #m.a, m[1.5]
    end) })
  end)

  it("tables a hundred thousand deep", function()
    local list
    for i = 1, 100000 do list = { next = list, i = i } end
    assert.equal(100000, (in_thread(list, function(m)
      local depth = 0
      while m do m, depth = m.next, depth + 1 end
      return depth
    end)))
  end)

  it("tensors by reference, views of one storage still so, read-only", function()
    local big, small = lk.tensor.zeros { 300, 300 }, lk.tensor.arange(1, 6)
    local inv <close> = lk.invoker({ big = big, row = big:select(1, 2), small = small }, function(m, task)
      if task == "write" then m.big:set(1, 1, 1) end
      return m.row:get(1), m.small:get(3), m.big:size(1)
    end, { n_jobs = 2, workers = "threads" })
    big:set(2, 1, 42)
    assert.same({ 42, 3, 300 }, { inv:submit(1):get() })
    assert.error_matches(function() inv:submit("write"):get() end, "read%-only here")
    assert.equal(0, big:get(1, 1))
  end)

  it("tensors that are writable", function()
    for _, size in ipairs { 10, 100000 } do
      local out, other = lk.tensor.zeros { size }, lk.tensor.zeros { size }
      local inv <close> = lk.invoker({ out = out, other = other }, function(m, task)
        m.out:set(task, task)
        return (pcall(m.other.set, m.other, 1, 1))
      end, { n_jobs = 2, workers = "threads", writable = { out } })
      assert.same({ n = 3, errors = {}, false, false, false }, inv:collect { 1, 2, 3 })
      assert.same({ 1, 2, 3 }, out:narrow(1, 1, 3):totable())
    end
  end)

  it("sparse matrices, loggers and lk.null", function()
    local matrix = lk.sparse.csr({ 1, 2 }, { 2, 1 }, { 3, 4 }, { 2, 2 })
    local log = lk.log.get "carry"
    assert.same({ 3, true, "logger carry" }, { in_thread({ matrix = matrix, null = lk.null }, function(m)
      local _, values = m.matrix:row(1)
      return values:get(1), m.null == lk.null, tostring(log)
    end) })
  end)

  it("by name: what modules have, as the worker's own", function()
    local format, insert, zeros = string.format, table.insert, lk.tensor.zeros
    local stdout, files = io.stdout, getmetatable(io.stdout)
    local await = require "tests.support.await"
    assert.same({ true, true, true, true, true, true }, { in_thread({ format = format, lk = lk }, function(m)
      return m.format == string.format, insert == table.insert, m.lk == require "lkrun",
        zeros == require("lkrun").tensor.zeros and stdout == io.stdout,
        files == getmetatable(io.stdout), await == require "tests.support.await"
    end) })
  end)

  it("_G and _ENV as the worker's own", function()
    assert.same({ true, true, "table" }, { in_thread(_G, function(globals)
      return globals == _G, globals.print == print, type(_ENV.string)
    end) })
  end)
end)

describe("what cannot be carried is named with its path:", function()
  it("coroutines, files, functions of C without a name, finalizers", function()
    local helper = coroutine.create(print)
    refused("func.upvalue helper: a coroutine cannot be carried", nil, function() return helper end)
    local file <close> = io.tmpfile()
    refused("model.output[2]: a userdata (FILE*) cannot be carried", { output = { 1, file } }, print)
    local lines = ("a b"):gmatch "%a"
    local function inner() return lines end
    refused("func.upvalue inner.upvalue lines: a function of C that no module has under a name cannot be carried",
      nil, function() return inner end)
    refused("model.x: a table with a finalizer (__gc) cannot be carried",
      { x = setmetatable({}, { __gc = function() end }) }, print)
    refused("model.metatable.__index.co: a coroutine cannot be carried",
      setmetatable({}, { __index = { co = helper } }), print)
    refused('model["a b"][1.5]: a coroutine cannot be carried', { ["a b"] = { [1.5] = helper } }, print)
    refused("model: a coroutine cannot be carried", helper, print)
  end)

  it("deep inside, by the end of its path", function()
    local model = { last = coroutine.create(print) }
    for _ = 1, 1000 do model = { n = model } end
    refused("model ... " .. (".n"):rep(11) .. ".last: a coroutine cannot be carried", model, print)
  end)

  it("modules that a worker cannot load, and what it does not find in them", function()
    package.loaded["tests.made.up"] = { f = function() end, g = { h = print } }
    finally(function() package.loaded["tests.made.up"] = nil end)
    local f = package.loaded["tests.made.up"].f
    assert.error_matches(function() in_thread(nil, function() return f end) end,
      "^lkrun: lk.invoker: workers cannot start: func or model needs module 'tests.made.up', " ..
      "which a worker cannot load: ")
    local library = package.loaded.string
    library.later = function() end
    finally(function() library.later, package.loaded["tests.made.up"] = nil, nil end)
    assert.error_matches(function() in_thread(library.later, print) end,
      "workers cannot start: func or model has string.later, which is not there in a worker, " ..
      "where modules are loaded anew")
  end)

  it("a module that fails while it loads leaves the program as it was", function()
    package.preload["tests.fails"] = function() return { f = print } end
    local module = require "tests.fails"
    finally(function() package.preload["tests.fails"], package.loaded["tests.fails"] = nil, nil end)
    for _ = 1, 3 do
      assert.error_matches(function() in_thread(nil, function() return module.f end) end, "tests.fails")
    end
    assert.equal(1, (in_thread(1, function(m) return m end)))
  end)
end)

describe("a global of the program", function()
  it("that a worker misses is named, with what to do; others are nil", function()
    local result = program.run [[
      local lk = require "lkrun"
      function helper(x) return 2 * x end
      limit = 3
      local function has(name) return rawget(_G, name) ~= nil end
      local inv <close> = lk.invoker(nil, function(_, task)
        if task == 1 then return helper(task) end
        if task == 2 then return task < limit end
        if task == 3 then return tostring(never_set), has "helper" end
        limit = 5
        return limit
      end, { n_jobs = 2, workers = "threads", on_error = "return" })
      for i, a, b in inv:map { 1, 2, 3, 4 } do print(i, a, type(b) == "table" and b.message:match ":%d+: .*" or b) end
      print(limit)
    ]]
    local why = " belongs to the program and is not there in a worker; make it a local, which is carried "
      .. "along, or require it from a module\n"
    assert.equal("1\tnil\t:6: lkrun: worker: the global 'helper'" .. why
      .. "2\tnil\t:7: lkrun: worker: the global 'limit'" .. why
      .. "3\tnil\tfalse\n4\t5\tnil\n3\n", result.out)
    assert.equal("", result.err)
  end)
end)

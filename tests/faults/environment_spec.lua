-- What a program may be, and be started in, when it makes an invoker.
local setup = require "tests.faults.setup"
local program = require "tests.support.program"
local fault, clean = setup.fault, setup.clean

-- A pool that works, loses a worker, and works again.
local work = [[
  local inv <close> = lk.invoker({ factor = 2.5 }, function(m, n)
    if n == 3 then fault.kill(fault.pid(), "KILL") end
    return n * m.factor
  end, { n_jobs = 2, on_error = "return" })
  for _ = 1, 2 do
    for i, result, err in inv:map { 1, 2, 3, 4 } do print(i, result, err and err.reason) end
  end
]]
local WORKED = ("1\t2.5\tnil\n2\t5.0\tnil\n3\tnil\tsignal\n4\t10.0\tnil\n"):rep(2)

local function shell(code, line)
  local script <close> = setup.file(setup.prelude .. code)
  return program.shell((line:gsub("SCRIPT", script.path)))
end

local function assert_works(line, before)
  local result = shell((before or "") .. work, line)
  assert.equal("", result.err)
  assert.equal(WORKED, result.out)
  assert.equal(0, result.status)
end

describe("an invoker works", function()
  it("where SIGCHLD was ignored at the start", clean(function()
    assert_works "trap '' CHLD; exec $LKRUN SCRIPT"
  end))

  it("where signals were blocked and ignored at the start", clean(function()
    assert_works "trap '' INT TERM PIPE HUP ALRM USR1; exec $LKRUN SCRIPT"
  end))

  -- Turkish has other letters for i and I, German a comma in numbers.
  local locales
  lazy_setup(function()
    locales = os.tmpname()
    os.remove(locales)
    local made = program.shell(("mkdir %s && cd %s && for name in de_DE tr_TR; do " ..
      "localedef -i $name -f UTF-8 ./$name.UTF-8 || exit; done"):format(locales, locales))
    assert.equal(0, made.status, made.err)
  end)
  lazy_teardown(function() os.execute("rm -r " .. locales) end)

  it("where every character of the locale is strange", clean(function()
    for _, locale in ipairs { "tr_TR.UTF-8", "de_DE.UTF-8", "C", "POSIX", "no_SUCH.locale" } do
      assert_works(("exec env LOCPATH=%s LC_ALL=%s LANG=%s $LKRUN SCRIPT"):format(locales, locale, locale))
    end
  end))

  it("where the program sets a locale with a comma in numbers", clean(function()
    local result = shell("assert(os.setlocale 'de_DE.UTF-8')\n" .. work .. [[
      local late <close> = lk.invoker({}, fault.stuck, { n_jobs = 2, timeout = 0.25, on_error = "return" })
      for _, _, err in late:map { 1.5 } do print(err.reason) end
      print(lk.json.encode { 0.5 }, lk.json.decode "[0.25]"[1])]],
      ("exec env LOCPATH=%s $LKRUN SCRIPT"):format(locales))
    assert.equal("", result.err)
    assert.equal(WORKED:gsub("%.", ",") .. "timeout\n[0.5]\t0,25\n", result.out)
  end))

  it("under any umask", clean(function()
    for _, mask in ipairs { "000", "077", "777" } do assert_works("umask " .. mask .. "; exec $LKRUN SCRIPT") end
  end))

  it("in a folder that is gone", clean(function()
    assert_works 'folder=$(mktemp -d); cd "$folder"; rmdir "$folder"; exec $LKRUN SCRIPT'
  end))

  it("with no environment at all", clean(function()
    assert_works "exec env -i $LKRUN SCRIPT"
  end))

  it("in a session of its own, without a terminal", clean(function()
    assert_works "exec setsid -w $LKRUN SCRIPT"
  end))

  it("with a limit on the address space", clean(function()
    if os.getenv "LKRUN_SAN" ~= "" and os.getenv "LKRUN_SAN" then return pending "a sanitizer takes it all" end
    assert_works "ulimit -v 4000000; exec $LKRUN SCRIPT"
    -- With some of these limits a region as large as the memory, halved until it fits, would leave no room for
    -- anything else.
    local part = tonumber(program.shell("getconf _PHYS_PAGES").out) * 4
    while part > 250000 do part = part // 2 end
    for room = 4000, 14000, 2000 do assert_works(("ulimit -v %d; exec $LKRUN SCRIPT"):format(part + room)) end
  end))

  it("where the program has ignored SIGCHLD itself: only how a worker ended is unknown", clean(function()
    local result = shell("fault.ignore 'CHLD'\n" .. work .. [[
      for _, _, err in inv:map { 3 } do print(err.message:match "%((.*)%)", err.status, err.signal) end]],
      "exec $LKRUN SCRIPT")
    assert.equal("", result.err)
    local unknown = "how it ended is not known, because the program ignores SIGCHLD\tnil\tnil\n"
    assert.equal(WORKED:gsub("signal", "exit") .. unknown, result.out)
  end))

  it("in a stock Lua that was started with SIGCHLD ignored", clean(function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a sanitized core is not for a stock Lua" end
    local folder = program.executable:match "^(.*)/[^/]*$"
    local result = shell(work, ([[
      export LUA_CPATH='%s/lib/?.so'
      trap '' CHLD
      exec lua5.4 SCRIPT]]):format(folder))
    assert.equal("", result.err)
    assert.equal(WORKED:gsub("signal", "exit"), result.out)
  end))
end)

describe("a program that forks", function()
  it("before it makes an invoker: both work", clean(function()
    local result = shell([[
      local child = fault.fork()
      local inv <close> = lk.invoker({}, function(_, n) return n * 2 end, { n_jobs = 2 })
      local sum = 0
      for _, result in inv:map { 1, 2, 3, 4 } do sum = sum + result end
      inv:shutdown()
      if child == 0 then fault.leave(sum) end
      print(sum, fault.wait(child))]], "exec $LKRUN SCRIPT")
    assert.equal("", result.err)
    assert.equal("20\texit\t20\n", result.out)
  end))

  it("while it has one: it belongs to the parent, and the child can make another", clean(function()
    local result = shell([[
      local inv <close> = lk.invoker({}, function(_, n) return n * 2 end, { n_jobs = 2 })
      local step, state, control = inv:map { 1, 2, 3, 4, 5, 6 }
      print(step(state, control))
      io.stdout:flush()
      local child = fault.fork()
      if child == 0 then
        print(pcall(inv.map, inv, { 1 }))
        local own = lk.invoker({}, function(_, n) return n * 3 end, { n_jobs = 2 })
        for i, result in own:map { 1, 2 } do print(i, result) end
        own:shutdown()
        io.stdout:flush()
        os.exit(7, true)
      end
      print(fault.wait(child))
      for i, result in step, state, control do print(i, result) end]],
      -- The child leaves the parent's pool alone, the memory of its copy included.
      "exec env ASAN_OPTIONS=detect_leaks=0 $LKRUN SCRIPT")
    assert.equal("", result.err)
    assert.equal("1\t2\nfalse\tlkrun: invoker: it belongs to the process that made it; " ..
      "a task makes its own with lk.invoker\n1\t3\n2\t6\nexit\t7\n2\t4\n3\t6\n4\t8\n5\t10\n6\t12\n", result.out)
  end))

  it("and ends before its child: the workers end", clean(function()
    local result = shell([[
      local inv = lk.invoker({}, function(_, n) fault.stuck() end, { n_jobs = 2 })
      inv:submit(1)
      require "tests.faults.setup".eventually(function()
        inv:stats()
        return inv:submit(2) and not pcall(inv:submit(3).get, inv:submit(3), 0) and inv:stats().workers[1].pid > 0
      end, "a worker")
      print(inv:stats().template, inv:stats().workers[1].pid, inv:stats().workers[2].pid)
      io.stdout:flush()
      local child = fault.fork()
      if child == 0 then fault.stuck() end
      print(child)
      io.stdout:flush()
      fault.kill(fault.pid(), "KILL")]], "$LKRUN SCRIPT 2>/dev/null")
    local template, first, second, child = result.out:match "^(%d+)\t(%d+)\t(%d+)\n(%d+)\n"
    for _, pid in ipairs { template, first, second } do
      setup.eventually(function() return pid == "0" or (setup.state(math.tointeger(pid)) or "Z") == "Z" end,
        "the end of process " .. pid)
    end
    fault.kill(math.tointeger(child), "KILL")
  end))
end)

describe("threads inside BLAS when the invoker is made", function()
  it("lkrun's own: the fork waits for them", clean(function()
    local result = shell([[
      lk.initialize { processes = 2, threads = 2, backend_threads = 2 }
      local a = lk.tensor.ones { 200, 200 }
      local function multiply(m, n) return m:mm(m):sum() * 0 + n end
      local threads <close> = lk.invoker(a, multiply, { n_jobs = 2, workers = "threads" })
      local sum = 0
      for i, result in threads:map(function(_, n) return (n or 0) < 60 and (n or 0) + 1 or nil end) do
        sum = sum + result
        if i % 10 == 0 then
          local processes <close> = lk.invoker(a, multiply, { n_jobs = 2 })
          for _, other in processes:map { 1, 2, 3 } do sum = sum + other end
        end
      end
      print(sum)]], "exec $LKRUN SCRIPT")
    assert.equal("", result.err)
    assert.equal("1866.0\n", result.out)
  end))

  it("the library's, idle: workers multiply too", clean(function()
    local result = shell([[
      lk.initialize { processes = 2, backend_threads = 2 }
      local a = lk.tensor.ones { 300, 300 }
      assert(a:mm(a):sum() == 300 ^ 3)
      local inv <close> = lk.invoker(a, function(m) return m:mm(m):sum() end, { n_jobs = 2 })
      for i, result in inv:map { 1, 2, 3, 4 } do assert(result == 300 ^ 3) end
      print(a:mm(a):sum() == 300 ^ 3)]], "exec $LKRUN SCRIPT")
    assert.equal("", result.err)
    assert.equal("true\n", result.out)
  end))

  it("the program's own: spawned workers do not fork", clean(function()
    local result = shell([[
      local a = lk.tensor.ones { 300, 300 }
      fault.blas_start(2)
      local function wait()
        local turns = fault.blas_turns()
        repeat fault.nap() until fault.blas_turns() > turns + 3
      end
      wait()
      local inv <close> = lk.invoker(a, function(m) return m:mm(m):sum() end, { n_jobs = 2, workers = "spawn" })
      for i, result in inv:map { 1, 2, 3, 4 } do assert(result == 300 ^ 3) end
      wait() -- they go on
      fault.blas_stop()
      print "done"]], "exec $LKRUN SCRIPT")
    assert.equal("", result.err)
    assert.equal("done\n", result.out)
  end))
end)

local program = require "tests.support.program"

-- Where Debian's packages libopenblas0-pthread and libopenblas0-openmp keep their builds.
local folders = {}
for _, build in ipairs { "pthread", "openmp" } do
  folders[build] = program.capture(("ls -d /usr/lib/*/openblas-%s 2>/dev/null"):format(build))
end

local describe_backend = [[
  local backend = require "lkrun.core.backend"
  backend.load()
  local d = backend.describe()
  print(d.threads, d.parallel, d.variable)
]]

for _, build in ipairs { "pthread", "openmp" } do
  -- Runs `code` with this build, and these variables.
  local function output(code, env)
    local all = { LD_LIBRARY_PATH = folders[build] }
    for name, value in pairs(env or {}) do all[name] = value end
    return (program.output(code, { env = all }))
  end

  local function test(name, body)
    it(name, function()
      if not folders[build] then return pending("Debian's libopenblas0-" .. build .. " is not installed") end
      body()
    end)
  end

  describe("the " .. build .. " build of OpenBLAS", function()
    test("is loaded when it is first needed, with the threads configured before", function()
      assert.equal(("false\t0\tfalse\ntrue\t3\t%s\n"):format(build), output [[
        local lk, backend = require "lkrun", require "lkrun.core.backend"
        lk.initialize{backend_threads = 3}
        local before = backend.describe()
        local maps <close> = io.open "/proc/self/maps"
        print(before.loaded, before.threads, maps:read "a":find "openblas" ~= nil)
        backend.load()
        local after = backend.describe()
        print(after.loaded, after.threads, after.parallel)
      ]])
    end)

    test("has the threads of LK_NUM_BACKEND_THREADS, also where it was loaded before", function()
      assert.equal("3\n", output([[
        local lk, backend = require "lkrun", require "lkrun.core.backend"
        backend.load()
        lk.ensure_parallel_init()
        print(backend.threads())
      ]], { LK_NUM_BACKEND_THREADS = "3" }))
    end)

    test("has kernels for this CPU, also for one that is younger than the library", function()
      local cpu <close> = assert(io.open "/proc/cpuinfo")
      if not cpu:read "a":find " avx2 " then return pending "a CPU without AVX2" end
      local code = [[
        local backend = require "lkrun.core.backend"
        backend.load()
        print(backend.describe().config:match "Prescott", os.getenv "OPENBLAS_CORETYPE")
      ]]
      assert.equal("nil\tnil\n", output(code))
      assert.equal("Prescott\tPrescott\n", output(code, { OPENBLAS_CORETYPE = "Prescott" }))
      assert.equal("nil\tnil\n", output(([[
        local lk = require "lkrun"
        local inv <close> = lk.invoker(nil, function() %s end, { workers = "threads", n_jobs = 2 })
        inv:submit(1):get()
      ]]):format(code)))
    end)

    test("has more or fewer threads when told", function()
      assert.equal("1 4 2\n", output [[
        local backend = require "lkrun.core.backend"
        local seen = {}
        backend.set_threads(1)
        backend.load()
        for i, threads in ipairs{1, 4, 2} do
          backend.set_threads(threads)
          seen[i] = backend.threads()
        end
        print(table.concat(seen, " "))
      ]])
    end)

    test("starts no more threads than it is told, and leaves the environment as it was", function()
      assert.equal("1\tnil\n", output [[
        local lk, backend = require "lkrun", require "lkrun.core.backend"
        lk.initialize{backend_threads = 1}
        backend.load()
        local status <close> = io.open "/proc/self/status"
        print(status:read "a":match "Threads:%s+(%d+)", os.getenv "OPENBLAS_NUM_THREADS")
      ]])
    end)

    test("keeps the user's own count", function()
      for _, name in ipairs { "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "GOTO_NUM_THREADS" } do
        local out = output("require 'lkrun'.ensure_parallel_init()\n" .. describe_backend,
          { [name] = "1", LK_NUM_BACKEND_THREADS = "3" })
        assert.equal(("1\t%s\t%s\n"):format(build, name), out)
      end
    end)

    test("is not governed by an empty variable, nor by another library's", function()
      for name, value in pairs { OPENBLAS_NUM_THREADS = "", OMP_NUM_THREADS = "", MKL_NUM_THREADS = "1" } do
        local out = output("require 'lkrun'.ensure_parallel_init()\n" .. describe_backend,
          { [name] = value, LK_NUM_BACKEND_THREADS = "3" })
        assert.equal(("3\t%s\tnil\n"):format(build), out)
      end
    end)

    test("is left alone with LK_NUM_BACKEND_THREADS=-1", function()
      local alone = output("require 'lkrun'.ensure_parallel_init()\n" .. describe_backend,
        { LK_NUM_BACKEND_THREADS = "-1" })
      assert.equal(output(describe_backend), alone)
    end)
  end)
end

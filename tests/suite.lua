-- Runs every test, each file in a process of its own, and adds up:
-- build/lkrun tests/suite.lua [C test programs]; LKRUN_TEST_JOBS files at a time (as many as there are CPUs).
-- build/lkrun tests/suite.lua soak TIMES: the specs of faults that often, then their long forms (see tests/soak).
local TIME_LIMIT = 900 -- seconds a file may take, on a loaded machine, under a sanitizer

local function lines_of(command)
  local lines = {}
  local pipe <close> = io.popen(command)
  for line in pipe:lines() do lines[#lines + 1] = line end
  return lines
end

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- Two tools cannot watch every test. A test says in a comment, "runs under: thread, valgrind", which of them can
-- watch it. A test that a tool cannot watch is left out there, counted and named, for the reason that stands here.
local reasons = {
  thread = "they fork, which the thread sanitizer does not follow",
  valgrind = "they start programs, which memcheck does not follow, or take too long under it",
}
local LKRUN_SAN <const> = os.getenv "LKRUN_SAN" or ""
local tool = LKRUN_SAN:match "thread" or LKRUN_SAN:match "valgrind"
-- LKRUN_WATCH is the command under which the tests run.
local watch = tool and os.getenv "LKRUN_WATCH" or ""
local excluded = {}

-- The tests that a tool can watch: a set of the paths of their sources.
local watched = {}
for _, line in ipairs(lines_of "grep -rHoE '\\bruns under: .*' tests --include='*_spec.lua' --include='*_test.c'") do
  local path, names = line:match "^([^:]*):runs under: (.*)$"
  for name in names:gsub("%*/", ""):gmatch "[^%s,]+" do
    if not reasons[name] then
      io.stderr:write(("%s: runs under: '%s'; expected thread or valgrind\n"):format(path, name))
      os.exit(2)
    end
    if name == tool then watched[path] = true end
  end
end

-- The command under which a test runs. The tests of faults end processes in the middle of their work: the memory
-- that such a process held is not a leak.
local function watch_of(name)
  local is_fault = name:find "^tests/faults/" and tool == "valgrind"
  return is_fault and watch .. " --leak-check=no" or watch
end

local function is_excluded(name)
  if not tool then return false end
  local program = name:match "[^/]+_test$"
  local source = program and lines_of("find tests -name " .. program .. ".c")[1] or name
  if watched[source] then return false end
  excluded[#excluded + 1] = name
  return true
end

-- All tests: {name =, command =, may_be_empty =}. A page of the manual may have no programs.
local function all_tests()
  local tests = {}
  local function add(name, command, may_be_empty)
    if is_excluded(name) then return end
    local limited = ("timeout -k 10 %d %s %s 2>&1"):format(TIME_LIMIT, watch_of(name), command)
    tests[#tests + 1] = { name = name, command = limited, may_be_empty = may_be_empty }
  end
  for _, test in ipairs(arg) do add(test, quoted(test)) end
  for _, spec in ipairs(lines_of "find tests -name '*_spec.lua' | sort") do
    add(spec, "build/lkrun tests/run.lua " .. quoted(spec))
  end
  for _, page in ipairs(lines_of "ls -d *.md docs/*.md | LC_ALL=C sort") do
    add(page, "build/lkrun tests/docs.lua " .. quoted(page), true)
  end
  return tests
end

-- The specs of faults, round after round; then, at length, those that ask for LKRUN_SOAK.
local function soak_tests(times)
  local tests = {}
  local function add(spec, long)
    tests[#tests + 1] = {
      name = long and spec .. ", at length" or spec,
      command = ("%s timeout -k 10 %d build/lkrun tests/run.lua %s 2>&1"):format(
        long and "LKRUN_SOAK=1" or "", TIME_LIMIT, quoted(spec)),
    }
  end
  for round = 1, times do
    for _, spec in ipairs(lines_of "find tests/faults -name '*_spec.lua' | sort") do add(spec) end
    tests[#tests].ends = ("%d of %d"):format(round, times)
  end
  for _, spec in ipairs(lines_of "grep -rl LKRUN_SOAK tests/faults | sort") do add(spec, true) end
  return tests
end

-- How many tests passed, failed and were skipped: by the last line of totals, or by counting the lines of the
-- Test Anything Protocol.
local function count(output)
  local passed, failed, skipped
  for p, f, s in output:gmatch "(%d+) passed, (%d+) failed, (%d+) skipped" do
    passed, failed, skipped = tonumber(p), tonumber(f), tonumber(s)
  end
  if passed then return passed, failed, skipped end
  passed, failed, skipped = 0, 0, 0
  for line in output:gmatch "[^\n]+" do
    if line:find "^ok%f[%W]" then
      if line:find "# [Ss][Kk][Ii][Pp]" then skipped = skipped + 1 else passed = passed + 1 end
    elseif line:find "^not ok%f[%W]" then
      failed = failed + 1
    end
  end
  return passed, failed, skipped
end

local total = { passed = 0, failed = 0, skipped = 0 }

local function totals()
  return ("%d passed, %d failed%s"):format(total.passed, total.failed,
    total.skipped > 0 and (", %d skipped"):format(total.skipped) or "")
end

local function finish(test)
  local output = test.pipe:read "a"
  local ok, how, code = test.pipe:close()
  local passed, failed, skipped = count(output)
  local trouble
  if not ok and failed == 0 then
    trouble = code == 124 and ("ran past %d seconds"):format(TIME_LIMIT) or ("ended with %s %d"):format(how, code)
  elseif watch ~= "" and output:find "==%d+==" then -- memcheck found errors in a worker, whose exit status nobody sees
    trouble = "errors were found"
  elseif passed + failed + skipped == 0 and not test.may_be_empty then
    trouble = "nothing ran"
  end
  if trouble then failed = failed + 1 end
  print(("%s: %d passed, %d failed, %d skipped%s"):format(test.name, passed, failed, skipped,
    trouble and " (" .. trouble .. ")" or ""))
  if failed > 0 then
    print((output:gsub("\n$", ""):gsub("%f[^\n\0]", "    ")))
  elseif skipped > 0 then
    for line in output:gmatch "[^\n]+" do
      if line:find "^skipped " or line:find "# [Ss][Kk][Ii][Pp]" then print("    " .. line) end
    end
  end
  total.passed = total.passed + passed
  total.failed = total.failed + failed
  total.skipped = total.skipped + skipped
  if test.ends then print(("%s, %s: %s"):format(test.ends, os.date "%H:%M:%S", totals())) end
  io.flush()
end

local tests = arg[1] == "soak" and soak_tests(math.tointeger(tonumber(arg[2]))) or all_tests()
local jobs = math.tointeger(tonumber(os.getenv "LKRUN_TEST_JOBS" or lines_of("nproc")[1])) or 1
local started = 0
for done = 1, #tests do
  while started < math.min(done + jobs - 1, #tests) do
    started = started + 1
    tests[started].pipe = io.popen(tests[started].command)
  end
  finish(tests[done])
end
if #excluded > 0 then
  print(("excluded, because %s: %d: %s"):format(reasons[tool], #excluded, table.concat(excluded, ", ")))
end
print(totals())
os.exit(total.passed + total.failed > 0 and total.failed == 0)

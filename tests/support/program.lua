-- Lua programs and shell commands, run by a new process of the interpreter that runs this, in an environment of their
-- own.
local program = {}

-- These variables are unset in that environment: the one in which the tests were started must not change results.
local unset = {
  "LK_NUM_PROCS", "LK_NUM_THREADS", "LK_NUM_BACKEND_THREADS", "LK_NUM_CHILD_THREADS", "LK_LOG_LEVEL",
  "LK_PROGRESS", "LK_PROGRESS_DIR", "LK_REGION_SIZE", "LK_BIND",
  "LK_TRACE", "SLURM_CPUS_PER_TASK", "OPENBLAS_NUM_THREADS",
  "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE", "HWLOC_SYNTHETIC", "HWLOC_XMLFILE",
  "MAKEFLAGS",
}

local function quote(text) return "'" .. text:gsub("'", [['\'']]) .. "'" end
program.quote = quote

local function read_all(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- The first line that a shell command writes; nil where it writes none.
function program.capture(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "l"
end

-- The interpreter that runs this. The parent of the shell is this process; under memcheck its executable is memcheck.
program.executable = program.capture "readlink /proc/$PPID/exe"
if program.executable:find "/memcheck%-" then program.executable = program.capture "readlink -f build/lkrun" end

--- Runs `code`. options.env has variables to set, options.args the arguments of the program; options.before has shell
--- words that stand before the interpreter ("taskset -c 0"), and options.shell is a command line that the shell runs
--- before it becomes the interpreter.
--- @return {out: string, err: string, status: integer, how: "exit"|"signal"}
function program.run(code, options)
  options = options or {}
  local script, out, err = os.tmpname(), os.tmpname(), os.tmpname()
  do
    local file <close> = assert(io.open(script, "wb"))
    file:write(code)
  end
  local words = { "exec env" }
  for _, name in ipairs(unset) do words[#words + 1] = "-u " .. name end
  for name, value in pairs(options.env or {}) do words[#words + 1] = quote(name .. "=" .. value) end
  words[#words + 1] = options.before
  words[#words + 1] = quote(program.executable)
  words[#words + 1] = script
  for _, argument in ipairs(options.args or {}) do words[#words + 1] = quote(argument) end
  local line = ("%s %s >%s 2>%s </dev/null"):format(
    options.shell and options.shell .. ";" or "", table.concat(words, " "), out, err)
  local _, how, status = os.execute(line)
  local result = { out = read_all(out), err = read_all(err), status = status, how = how }
  for _, path in ipairs { script, out, err } do os.remove(path) end
  return result
end

--- Runs a shell command line in which $LKRUN is this interpreter. A program run by "exec" gives its status or signal.
--- @return {out: string, err: string, status: integer, how: "exit"|"signal"}
function program.shell(line)
  local script, out, err = os.tmpname(), os.tmpname(), os.tmpname()
  do
    local file <close> = assert(io.open(script, "wb"))
    file:write("LKRUN=", quote(program.executable), "\n", line, "\n")
  end
  local _, how, status = os.execute(("exec bash %s >%s 2>%s"):format(script, out, err))
  local result = { out = read_all(out), err = read_all(err), status = status, how = how }
  for _, path in ipairs { script, out, err } do os.remove(path) end
  return result
end

--- Runs make in the checkout: it installs no package, and builds with the compiler and flags of these tests.
--- @return {out: string, err: string, status: integer, how: "exit"|"signal"}
function program.make(arguments)
  local overrides = os.getenv "LKRUN_MAKE" or ""
  return program.shell(("NO_INSTALL=1 make --no-print-directory %s %s"):format(overrides, arguments))
end

--- Runs `code` and returns what it wrote; raises an error when it failed.
function program.output(code, options)
  local result = program.run(code, options)
  if result.how ~= "exit" or result.status ~= 0 then
    error(("the program ended with %s %s: %s"):format(result.how, result.status, result.err), 2)
  end
  return result.out, result.err
end

return program

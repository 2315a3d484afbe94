-- A workflow in a folder of its own, run by the real Snakemake of build/venv-snakemake.
local program = require "tests.support.program"
local terminal = require "tests.support.terminal"

local workflow = {}
workflow.__index = workflow

workflow.checkout = program.capture "pwd"
local bin = workflow.checkout .. "/build/venv-snakemake/bin"
workflow.rules = workflow.checkout .. "/rules"

--- The reason why Snakemake cannot run here; nil where it can.
function workflow.missing()
  local file <close> = io.open(bin .. "/snakemake")
  if not file then return "no Snakemake in build/venv-snakemake; make check puts it there" end
end

--- files: contents by path; RULES and CHECKOUT in them become those folders.
function workflow.new(files)
  local folder = program.capture "mktemp -d"
  local self = setmetatable({ folder = folder }, workflow)
  -- The lkrun that the jobs find is the one that runs the tests.
  assert(os.execute(("mkdir '%s/.bin' && ln -s '%s' '%s/.bin/lkrun'"):format(folder, program.executable, folder)))
  for path, text in pairs(files) do self:write(path, text) end
  return self
end

function workflow:write(path, text)
  local whole = self.folder .. "/" .. path
  assert(os.execute("mkdir -p " .. program.quote((whole:match "^(.*)/"))))
  local file <close> = assert(io.open(whole, "wb"))
  file:write((text:gsub("%f[%w]RULES%f[%W]", workflow.rules):gsub("%f[%w]CHECKOUT%f[%W]", workflow.checkout)))
end

--- The contents of a file; nil where there is none.
function workflow:read(path)
  local file <close> = io.open(self.folder .. "/" .. path, "rb")
  return file and file:read "a"
end

-- The shell command line that runs `line` in the folder, with the environment of the tests.
local function in_folder(self, line)
  local folder = program.quote(self.folder)
  return table.concat {
    "cd ", folder, " && export PATH=", folder, "/.bin:", bin, ":$PATH XDG_CACHE_HOME=", folder,
    "/.cache PYTHONDONTWRITEBYTECODE=1 && unset LK_PROGRESS LK_PROGRESS_DIR LK_LOG_LEVEL LK_NUM_PROCS ",
    "LK_NUM_THREADS LK_NUM_BACKEND_THREADS LK_NUM_CHILD_THREADS SLURM_CPUS_PER_TASK SNAKEMAKE_PROFILE ",
    "MAKEFLAGS MFLAGS MAKELEVEL && ", line,
  }
end

--- The shell command line that runs `line` in the folder, with `snakemake` and `lkrun` on PATH.
--- @return string
function workflow:command(line) return "exec </dev/null; " .. in_folder(self, line) end

--- Snakemake with these arguments on a terminal (tests/support/terminal.lua) of `columns` and `rows`.
function workflow:on_terminal(arguments, columns, rows)
  return terminal.run("", {
    columns = columns, rows = rows, command = in_folder(self, ("(snakemake %s)"):format(arguments)),
  })
end

--- Runs a shell command line. @return {out: string, err: string, status: integer, how: "exit"|"signal"}
function workflow:shell(line) return program.shell(self:command(line)) end

--- Runs Snakemake; everything that it wrote is in `out`.
function workflow:snakemake(arguments)
  return self:shell("snakemake --nocolor " .. arguments .. " 2>&1")
end

--- Runs Snakemake, and raises an error with what it wrote where it fails.
function workflow:succeed(arguments)
  local result = self:snakemake("--show-failed-logs " .. arguments)
  if result.how ~= "exit" or result.status ~= 0 then
    error(("snakemake %s ended with %s %d:\n%s"):format(arguments, result.how, result.status, result.out), 2)
  end
  return result.out
end

function workflow:remove() os.execute("rm -rf " .. program.quote(self.folder)) end

return workflow

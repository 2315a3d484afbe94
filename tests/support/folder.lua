-- A folder of a test's own: `local folder <close> = require "tests.support.folder" ()`, or made before each test and
-- removed after it.
local program = require "tests.support.program"

---@class tests.Folder
---@field name string
local folder = {}
folder.__index = folder

function folder.new() return setmetatable({ name = program.capture "mktemp -d" }, folder) end

function folder:remove() os.execute("rm -rf " .. program.quote(self.name)) end
folder.__close = folder.remove

--- The path of a file in it.
function folder:path(name) return self.name .. "/" .. name end

function folder:write(name, bytes)
  local file <close> = assert(io.open(self:path(name), "wb"))
  assert(file:write(bytes))
end

--- The bytes of a file in it; nil where there is none.
function folder:read(name)
  local file <close> = io.open(self:path(name), "rb")
  return file and file:read "a"
end

--- The names of what is in it, in their order, with spaces between them.
function folder:entries()
  local names = {}
  local pipe <close> = io.popen("LC_ALL=C ls -A " .. program.quote(self.name))
  for name in pipe:lines() do names[#names + 1] = name end
  return table.concat(names, " ")
end

--- Runs lkrun in it, with two workers; `arguments` as a shell takes them, `environment` as words NAME=value.
function folder:lkrun(arguments, environment)
  return program.shell(("cd %s && %s LK_NUM_PROCS=2 LK_PROGRESS=none $LKRUN %s")
    :format(program.quote(self.name), environment or "", arguments))
end

return folder.new

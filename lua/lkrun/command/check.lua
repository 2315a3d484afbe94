--- lkrun check: reports syntax errors, globals that are read but never defined, and names that lkrun does not
--- have, without running the program. Lua's own compiler checks the syntax.
local walk = require "lkrun.command.check.walk"

-- Names that are defined though the file does not: _ENV, and the job in a script of a Snakemake rule.
local given = { _ENV = true, snakemake = true }

local function tell(...)
  io.stderr:write(...)
  io.stderr:write "\n"
end

--- The text of a file; nil and a message where it cannot be read.
local function text_of(path)
  local file <close>, message = io.open(path, "rb")
  if not file then return nil, message end
  local text, why = file:read "a"
  if not text then return nil, path .. ": " .. why end
  -- As loadfile does, passes over a byte order mark and a first line that begins with #.
  return (text:gsub("^\u{FEFF}", ""):gsub("^#[^\n]*", ""))
end

--- What is wrong in a text: messages, each with the path and line.
---@param text string
---@param path string
---@return string[]
local function problems_of(text, path)
  local compiled, message = load(text, "=?", "t")
  if not compiled then return { path .. message:sub(2) } end
  local read, assigned, found = walk(text)
  for _, global in ipairs(read) do
    local name = global.name
    if _G[name] == nil and not assigned[name] and not given[name] then
      local advice = name == "lk" and '; local lk = require "lkrun" defines it' or ""
      found[#found + 1] = { line = global.line, text = ("unknown global '%s'%s"):format(name, advice) }
    end
  end
  for i, finding in ipairs(found) do finding.place = i end
  table.sort(found, function(a, b)
    if a.line ~= b.line then return a.line < b.line end
    return a.place < b.place
  end)
  local problems, seen = {}, {}
  for _, finding in ipairs(found) do
    local problem = ("%s:%d: %s"):format(path, finding.line, finding.text)
    if not seen[problem] then
      seen[problem] = true
      problems[#problems + 1] = problem
    end
  end
  return problems
end

--- Tells on standard error what is wrong in these files; gives the exit status.
---@param paths string[]
---@return integer # 0: nothing, 1: something, 2: a file could not be read
local function run(paths)
  local status = 0
  for _, path in ipairs(paths) do
    local text, message = text_of(path)
    local problems = text and problems_of(text, path) or {}
    if not text then
      status = 2
      tell("lkrun: ", message, "; expected the path of a Lua file")
    end
    for _, problem in ipairs(problems) do tell(problem) end
    if #problems > 0 then status = math.max(status, 1) end
  end
  return status
end

return {
  summary = "Reports syntax errors, unknown globals, and names that lkrun does not have; runs nothing.",
  define = function(parser) parser:argument("file", "Lua files."):args "+":target "files" end,
  run = function(options) return run(options.files) end,
  epilog = "Examples:\n  lkrun check model.lua\n  lkrun check *.lua && lkrun main.lua",
}

-- Runs the code of the manual: build/lkrun tests/docs.lua FILE.md...
--
-- Runs every block of lua, sh and python in the order of the page, each in an empty folder, and compares its output
-- with a `text` block that follows directly. A block with file=NAME becomes that file, and is run only where a `text`
-- block follows directly. In a `prompt` block the lines after > and >> are typed at the prompt, and the other lines are
-- the answers. Links must lead to files that exist. Comments of the page say what it needs:
--   <!-- one after the other -->  one folder for all blocks; a page with files always has one
--   <!-- in a clone -->           that folder has the files of this checkout
--   <!-- on a cluster -->         a Slurm: only make check-slurm runs the page
--   <!-- needs gdb -->            gdb, and permission to attach it
--   <!-- not run: why -->         before a block that is not run
local blocks = require "tests.docs.blocks"
local exists = require("tests.support.files").exists

local function capture(command)
  local pipe <close> = io.popen(command)
  return pipe:read()
end

local checkout = capture "pwd"
local lkrun = capture "readlink /proc/$PPID/exe" -- the interpreter that runs this
local folder = capture "mktemp -d"
local python = require("tests.support.python").path
python = python:find "^/" and python or checkout .. "/" .. python
local snakemake = checkout .. "/build/venv-snakemake/bin"

local function trimmed(text) return (text:gsub("[ \t]+\n", "\n"):gsub("%s+$", "")) end

local function indented(text) return "    " .. trimmed(text):gsub("\n", "\n    ") end

local function succeeds(command) return (os.execute(command .. " >/dev/null 2>&1")) == true end

-- The environment of a reader's shell: without the variables of this run, with lkrun and Snakemake on PATH.
local function shell_command()
  local unset = { "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "SNAKEMAKE_PROFILE", "DEBUGINFOD_URLS" }
  for name in io.popen("env"):read "a":gmatch "%f[^\0\n](LK_[A-Z_]+)=" do unset[#unset + 1] = name end
  return ("env -u %s PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME='%s/.cache' PATH='%s':'%s':\"$PATH\" bash -eu")
    :format(table.concat(unset, " -u "), folder, lkrun:match "^(.*)/", snakemake)
end

-- The command that runs a block of each kind.
local commands = {
  lua = lkrun, python = "'" .. python .. "'", sh = shell_command(), prompt = lkrun .. " -i /dev/null <",
}

local function empty_folder() os.execute(("rm -rf %s && mkdir %s"):format(folder, folder)) end

local function write(name, text)
  local path = folder .. "/" .. name
  os.execute("mkdir -p '" .. path:match "^(.*)/" .. "'")
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

-- The manual names rules and gdb commands where they are installed; here they are replaced by those of the checkout.
local function as_here(text)
  local folders = { rules = checkout .. "/rules", gdb = checkout .. "/packaging/gdb" }
  return (text:gsub("/usr/local/share/lkrun/(%l+)", folders))
end

-- A block in the clone that calls make builds in this checkout, and installs no package.
local MAKE = ("make() { NO_INSTALL=1 command make -s -C '%s' %s \"$@\"; }\nHOME=$PWD\n"):format(checkout,
  os.getenv "LKRUN_MAKE" or "")

-- Splits a `prompt` block into the lines that are typed and the answers to them.
local function dialogue_of(text)
  local typed, answers = {}, {}
  for line in text:gmatch "[^\n]*\n" do
    table.insert(line:find "^>" and typed or answers, (line:gsub("^>+ ?", "")))
  end
  return table.concat(typed), table.concat(answers)
end

-- Processes that a block leaves in the background are ended with it.
local SHELL <const> = "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n"

-- Runs a block; returns nil, or what is wrong with it.
local function trouble_of(block, in_clone, expected)
  local name, text = block.file or "program", as_here(block.text)
  if block.kind == "prompt" then text, expected = dialogue_of(text) end
  local before = block.kind == "sh" and SHELL .. (in_clone and MAKE or "") or ""
  write(name, before .. text)
  local command = "cd %s && </dev/null timeout 600 %s %s 2>.messages"
  local pipe = io.popen(command:format(folder, commands[block.kind], name))
  local output = pipe:read "a"
  local ok, how, code = pipe:close()
  local messages <close> = assert(io.open(folder .. "/.messages"))
  if not ok then
    return ("ended with %s %d:\n%s"):format(how, code, indented(output .. messages:read "a"))
  end
  if expected and trimmed(output) ~= trimmed(expected) then
    return ("printed\n%s\n  instead of\n%s"):format(indented(output), indented(expected))
  end
end

local has_python = succeeds(commands.python .. " -c 'import numpy, pandas, safetensors, scipy'")
local has_snakemake = exists(snakemake .. "/snakemake")
local sanitized = (os.getenv "LKRUN_SAN" or "") ~= ""

-- A container may forbid gdb to attach, and the leak checker fails in a process that is traced.
local function can_attach()
  return not sanitized and succeeds [[sh -c '
    tail -f /dev/null & gdb --batch -p $! -ex kill 2>&1 | grep -q Inferior.*killed
    attached=$?
    kill $! 2>/dev/null # where gdb has not
    exit $attached']]
end

-- How the page is run: whether in one folder, whether in a clone, and the reason if it cannot be run here.
local function needs_of(text, list)
  local function says(what) return text:find("<!-- " .. what .. " -->", 1, true) ~= nil end
  local needs = { in_clone = says "in a clone", in_order = says "one after the other" or says "in a clone" }
  if says "needs gdb" and not can_attach() then needs.missing = "no gdb, or none that can attach" end
  if says "on a cluster" and not os.getenv "LKRUN_SLURM" then needs.missing = "make check-slurm runs it" end
  for _, block in ipairs(list) do
    needs.in_order = needs.in_order or block.file ~= nil
    if block.kind == "python" and not block.file and not has_python then needs.missing = "Python's packages" end
    if block.kind == "sh" and block.text:find "%f[%a]snakemake " and not has_snakemake then
      needs.missing = "Snakemake"
    end
  end
  return needs
end

local passed, failed, skipped = 0, 0, 0

local function skip(path, block, why)
  skipped = skipped + 1
  print(("skipped %s:%d: %s"):format(path, block.line, why))
end

local function run_blocks(path, text)
  local list = blocks.of(path)
  local needs = needs_of(text, list)
  empty_folder()
  if needs.in_clone then os.execute(("ln -s '%s'/* %s"):format(checkout, folder)) end
  for i, block in ipairs(list) do
    local after = list[i + 1]
    local expected = after and after.kind == "text" and after.text or nil
    local is_run = commands[block.kind] and (not block.file or expected)
    local why = block.not_run or needs.missing
      or sanitized and block.text:find "lua5.4" and "a stock Lua lacks the sanitizer's runtime"
    if is_run and why then
      skip(path, block, why)
    elseif is_run then
      if not needs.in_order then empty_folder() end
      local trouble = trouble_of(block, needs.in_clone, expected)
      if trouble then
        failed = failed + 1
        print(("failed %s:%d: %s"):format(path, block.line, trouble))
        if needs.in_order then break end
      else
        passed = passed + 1
      end
    elseif block.file then
      write(block.file, as_here(block.text))
    end
  end
end

for _, path in ipairs(arg) do
  local text = io.open(path):read "a"
  for target in text:gmatch "%]%(([%w_./-]+)#?[%w_-]*%)" do
    if not exists((path:match "^.*/" or "") .. target) then
      failed = failed + 1
      print(("failed %s: a link to %s, which is not there"):format(path, target))
    end
  end
  run_blocks(path, text)
end
os.execute("rm -rf " .. folder)
print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
os.exit(failed == 0)

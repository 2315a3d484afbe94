-- Runs the programs of the manual: build/lkrun tests/docs.lua FILE.md...
-- Each ```lua block is a program of its own, run in an empty folder; where a ```text block is the
-- next block, it is what the program prints. ```lua norun is skipped, and counted as such. In a page
-- with the comment <!-- one after the other --> all blocks of lua, python and sh are run, in one
-- folder. Links to files must lead somewhere.

local lkrun = io.popen("realpath build/lkrun"):read()
local folder = io.popen("mktemp -d"):read()

-- The fenced blocks of a file: { line =, kind =, text = }.
local function blocks_of(path)
  local blocks, open, fence = {}, nil, nil
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    if open then
      if line:match "^%s*(`+)%s*$" == fence then
        open.text = table.concat(open, "\n")
        blocks[#blocks + 1], open = open, nil
      else
        open[#open + 1] = line
      end
    else
      local ticks, kind = line:match "^%s*(```+)%s*(.-)%s*$"
      if ticks then open, fence = { line = number, kind = kind }, ticks end
    end
  end
  if open then error(("%s:%d: this block has no end"):format(path, open.line), 0) end
  return blocks
end

local function trimmed(text) return (text:gsub("[ \t]+\n", "\n"):gsub("%s+$", "")) end

local function indented(text) return "    " .. trimmed(text):gsub("\n", "\n    ") end

local python = os.getenv "LKRUN_PYTHON" or "build/venv/bin/python"
python = python:find "^/" and python or io.popen("pwd"):read() .. "/" .. python

-- What a block is run by.
local commands = {
  lua = lkrun, python = "'" .. python .. "'", sh = ("PATH='%s':\"$PATH\" sh -eu"):format(lkrun:match "^(.*)/"),
}

local function empty_folder() os.execute(("rm -rf %s && mkdir %s"):format(folder, folder)) end

-- Nil, or what is wrong with this program.
local function trouble_of(kind, program, expected)
  local script <close> = assert(io.open(folder .. "/program", "w"))
  script:write(program):close()
  local pipe = io.popen(("cd %s && timeout 120 env %s program 2>messages </dev/null"):format(folder, commands[kind]))
  local output = pipe:read "a"
  local ok, how, code = pipe:close()
  local messages <close> = assert(io.open(folder .. "/messages"))
  if not ok then
    return ("ended with %s %d:\n%s"):format(how, code, indented(output .. messages:read "a"))
  end
  if expected and trimmed(output) ~= trimmed(expected) then
    return ("printed\n%s\n  instead of\n%s"):format(indented(output), indented(expected))
  end
end

-- Python's packages that the pages use.
local has_python = os.execute(("%s -c 'import numpy, pandas, safetensors, scipy' 2>/dev/null"):format(commands.python))

-- Whether the page's blocks build on each other; and whether they can be run here.
local function order_of(text, blocks)
  local in_order, runs = text:find("<!-- one after the other -->", 1, true) ~= nil, true
  for _, block in ipairs(blocks) do runs = runs and (block.kind ~= "python" or has_python) end
  return in_order, not in_order or runs
end

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

local passed, failed, skipped = 0, 0, 0

local function run_blocks(path, text)
  local blocks = blocks_of(path)
  local in_order, can_run = order_of(text, blocks)
  empty_folder()
  for i, block in ipairs(blocks) do
    local is_program = block.kind == "lua" or in_order and commands[block.kind]
    if block.kind == "lua norun" or is_program and not can_run then
      skipped = skipped + 1
    elseif is_program then
      if not in_order then empty_folder() end
      local after = blocks[i + 1]
      local trouble = trouble_of(block.kind, block.text, after and after.kind == "text" and after.text or nil)
      if trouble then
        failed = failed + 1
        print(("failed %s:%d: %s"):format(path, block.line, trouble))
        if in_order then break end
      else
        passed = passed + 1
      end
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

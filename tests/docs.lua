-- Runs the programs of the manual: build/lkrun tests/docs.lua FILE.md...
-- Each ```lua block is a program of its own, run in an empty folder; where a ```text block is the
-- next block, it is what the program prints. ```lua norun is skipped, and counted as such. Links to
-- files must lead somewhere.

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

-- Nil, or what is wrong with this program.
local function trouble_of(program, expected)
  os.execute(("rm -rf %s && mkdir %s"):format(folder, folder))
  local script <close> = assert(io.open(folder .. "/program.lua", "w"))
  script:write(program):close()
  local pipe = io.popen(("cd %s && timeout 120 %s program.lua 2>messages </dev/null"):format(folder, lkrun))
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

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

local passed, failed, skipped = 0, 0, 0
for _, path in ipairs(arg) do
  for target in io.open(path):read "a":gmatch "%]%(([%w_./-]+)#?[%w_-]*%)" do
    if not exists((path:match "^.*/" or "") .. target) then
      failed = failed + 1
      print(("failed %s: a link to %s, which is not there"):format(path, target))
    end
  end
  local blocks = blocks_of(path)
  for i, block in ipairs(blocks) do
    if block.kind == "lua norun" then
      skipped = skipped + 1
    elseif block.kind == "lua" then
      local after = blocks[i + 1]
      local trouble = trouble_of(block.text, after and after.kind == "text" and after.text or nil)
      if trouble then
        failed = failed + 1
        print(("failed %s:%d: %s"):format(path, block.line, trouble))
      else
        passed = passed + 1
      end
    end
  end
end
os.execute("rm -rf " .. folder)
print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
os.exit(failed == 0)

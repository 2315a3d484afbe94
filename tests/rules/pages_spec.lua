-- The manual's pages on workflows, as a reader follows them: every block in order, in one folder. A block
-- with file=NAME is that file, `sh` is typed, and `text` after it is what it prints last.
local workflow = require "tests.snakemake.workflow"

local INSTALLED = "/usr/local/share/lkrun/rules"

-- { kind =, file =, text =, line = } of each block.
local function blocks_of(path)
  local blocks, open, number = {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    if open and line == "```" then
      open.text = table.concat(open, "\n") .. "\n"
      blocks[#blocks + 1], open = open, nil
    elseif open then
      open[#open + 1] = line
    elseif line:find "^```" then
      open = { kind = line:match "^```(%S*)", file = line:match " file=(%S+)", line = number }
    end
  end
  return blocks
end

describe("The manual's page", function()
  local reason = workflow.missing()
  if reason then return pending("runs block by block (" .. reason .. ")") end

  for _, page in ipairs { "docs/snakemake.md", "docs/workflow.md", "docs/make.md" } do
    it(page .. " runs block by block", function()
      local folder <close> = setmetatable(workflow.new {}, { __close = workflow.remove, __index = workflow })
      local printed, ran
      for _, block in ipairs(blocks_of(page)) do
        local where = ("%s:%d"):format(page, block.line)
        local text = block.text:gsub(INSTALLED, workflow.rules)
        if block.file then
          folder:write(block.file, text)
        elseif block.kind == "sh" then
          -- Snakemake itself writes to standard error.
          local result = folder:shell("set -e\n" .. text)
          assert(result.status == 0, ("%s ended with %d:\n%s%s"):format(where, result.status, result.out, result.err))
          printed, ran = result.out, true
        elseif block.kind == "text" then
          assert.equal(block.text, printed, where)
        end
      end
      assert.truthy(ran)
    end)
  end
end)

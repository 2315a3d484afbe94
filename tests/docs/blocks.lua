-- Reads the fenced blocks of a page of the manual.
local blocks = {}

--- Returns the blocks in the order of the page. A block with file=NAME has that file; one after a comment
--- <!-- not run: why --> has that reason.
---@param path string
---@return { line: integer, kind: string, file?: string, not_run?: string, text: string }[]
function blocks.of(path)
  local list, open, fence, number, not_run = {}, nil, nil, 0, nil
  for line in io.lines(path) do
    number = number + 1
    if open then
      if line:match "^%s*(`+)%s*$" == fence then
        open.text = table.concat(open, "\n") .. "\n"
        list[#list + 1], open = open, nil
      else
        open[#open + 1] = line
      end
    else
      local ticks, info = line:match "^%s*(```+)%s*(.-)%s*$"
      if ticks then
        fence = ticks
        open = { line = number, kind = info:match "^%S*", file = info:match " file=(%S+)", not_run = not_run }
        not_run = nil
      else
        not_run = line:match "^<!%-%- not run: (.+) %-%->$" or line == "" and not_run or nil
      end
    end
  end
  if open then error(("%s:%d: this block has no end"):format(path, open.line), 0) end
  return list
end

return blocks

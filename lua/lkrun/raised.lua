--- What an uncaught error has to say, where Lua itself says little. The host calls this while the
--- error is on its way, so nothing here calls into the program.
local TEXT <const> = 300 -- characters of a value's rendering

-- Cut to so many characters; what is not UTF-8 counts in bytes.
local function cut(text)
  local characters = utf8.len(text) or #text
  if characters <= TEXT then return text end
  local last = utf8.len(text) and utf8.offset(text, TEXT + 1) - 1 or TEXT
  return text:sub(1, last) .. " ..."
end

--- A table that was raised: its `message`, or its fields on one line.
---@param value table without a __tostring
---@return string
local function text_of(value)
  local message = rawget(value, "message")
  if type(message) == "string" then return message end
  local shown = require "lkrun.show"(value, { width = math.maxinteger })
  return "error object " .. cut((shown:gsub("{\n%s*", "{"):gsub("\n%s*}", "}"):gsub("\n%s*", " ")))
end

return { text_of = text_of }

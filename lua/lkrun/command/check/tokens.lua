--- Divides a Lua text into tokens. The text must compile.

local keywords = require "lkrun.internal.keywords"

-- Two- and three-character operators whose first characters are operators too.
local long_operators = { "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>" }

--- The tokens of a text, three arrays: kinds ("name", "literal", else the keyword or operator itself),
--- texts (the name, or what stands in a quoted string without escapes; false for all others), and lines.
---@param text string
---@return string[] kinds
---@return (string|false)[] texts
---@return integer[] lines
return function(text)
  local kinds, texts, lines = {}, {}, {}
  local at, line = 1, 1

  local function add(kind, last, shown)
    kinds[#kinds + 1], texts[#kinds + 1], lines[#kinds + 1] = kind, shown or false, line
    local _, breaks = text:sub(at, last):gsub("\n", "")
    line, at = line + breaks, last + 1
  end
  local function skip(last)
    local _, breaks = text:sub(at, last):gsub("\n", "")
    line, at = line + breaks, last + 1
  end
  -- Where the string in long brackets that opens at `from` ends; nil where none opens.
  local function long_end(from)
    local equals = text:match("^%[(=*)%[", from)
    if equals then return select(2, text:find("]" .. equals .. "]", from + #equals + 2, true)) end
  end
  local function short_end(quote)
    local from = at + 1
    while true do
      local found = text:find("[\\" .. quote .. "]", from)
      if text:sub(found, found) == quote then return found end
      from = found + 2
    end
  end

  while true do
    skip(select(2, text:find("^%s*", at)))
    local character = text:sub(at, at)
    if character == "" then break end
    local word = text:match("^[%a_][%w_]*", at)
    if word then
      local is_keyword = keywords[word]
      add(is_keyword and word or "name", at + #word - 1, not is_keyword and word)
    elseif text:find("^%-%-", at) then
      skip(long_end(at + 2) or (text:find("\n", at, true) or #text + 1) - 1)
    elseif text:find("^%.?%d", at) then
      -- A sign belongs to a number only after its exponent letter.
      local hexadecimal = text:find("^0[xX]", at)
      local last = at
      while true do
        local signed = text:match(hexadecimal and "^[pP][+-]?" or "^[eE][+-]?", last)
        if signed and last > at then last = last + #signed
        elseif text:find("^[%w_.]", last) then last = last + 1
        else break end
      end
      add("literal", last - 1)
    elseif character == '"' or character == "'" then
      local last = short_end(character)
      local content = text:sub(at + 1, last - 1)
      add("literal", last, not content:find("\\", 1, true) and content)
    elseif long_end(at) then
      add("literal", long_end(at))
    else
      local operator = character
      for _, long in ipairs(long_operators) do
        if text:sub(at, at + #long - 1) == long then operator = long break end
      end
      add(operator, at + #operator - 1)
    end
  end
  return kinds, texts, lines
end

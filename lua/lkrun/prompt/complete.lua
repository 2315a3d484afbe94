--- Completes the text before the cursor: names of variables, fields, methods and modules, and files in
--- strings. Values are looked at without calling any of their functions, above all no `__index`. Modules of lk
--- and lkrec that the text names are loaded for it.
local embedded = require("lkrun.core.module_text").modules()
local directory = require "lkrun.core.directory"
local fields = require "lkrun.internal.fields"
local keywords = require "lkrun.internal.keywords"

local complete = {}

local LISTED <const> = 200 -- names in a list, at most

-- --- the text ---

-- What the text ends in. Of a quoted string: its quote, where its content begins, and where the quote stands.
-- Otherwise "comment", "long" (a string in long brackets), or nil for code.
local function open_string(text)
  local at = 1
  while at <= #text do
    local c = text:sub(at, at)
    if text:find("^%-%-%[=*%[", at) or text:find("^%[=*%[", at) then
      local level = text:match("^%-?%-?%[(=*)%[", at)
      local _, stop = text:find("]" .. level .. "]", at, true)
      if not stop then return text:sub(at, at) == "-" and "comment" or "long" end
      at = stop + 1
    elseif text:find("^%-%-", at) then
      local stop = text:find("\n", at, true)
      if not stop then return "comment" end
      at = stop + 1
    elseif c == "'" or c == '"' then
      local from = at
      at = at + 1
      while at <= #text and text:sub(at, at) ~= c and text:sub(at, at) ~= "\n" do
        at = at + (text:sub(at, at) == "\\" and 2 or 1)
      end
      if at > #text then return c, from + 1, from end
      at = at + 1
    else
      at = at + 1
    end
  end
end

-- The chain of names before the last word, its separator and the word: { "lk", "tensor" }, ".", "ze" for
-- "lk.tensor.ze". The chain is {} for a word by itself, and nil where something else stands before it.
local function chain_before(text)
  local word = text:match "[%a_][%w_]*$" or ""
  local rest = text:sub(1, #text - #word)
  local separator = rest:match "([.:])%s*$"
  if not separator or rest:find "%.%.%s*$" then
    local goes_on = rest:find "%d$" or word == "" and rest:find "[%w_%)%]}\"']%s*$"
    return not goes_on and {} or nil, nil, word
  end
  rest = rest:gsub("[.:]%s*$", "")
  local keys = {}
  while true do
    rest = rest:gsub("%s+$", "")
    local name = rest:match "[%a_][%w_]*$"
    if name then
      table.insert(keys, 1, name)
      rest = rest:sub(1, #rest - #name):gsub("%s+$", "")
      if not rest:find "%.$" or rest:find "%.%.$" then
        return not rest:find "[:%w]$" and keys or nil, separator, word
      end
      rest = rest:sub(1, -2)
    else
      local before, key = rest:match "^(.-)%[%s*(%-?%d+)%s*%]$"
      if not before then before, key = rest:match [=[^(.-)%[%s*(["'][^"'%\%]]*["'])%s*%]$]=] end
      if not before then return nil end
      table.insert(keys, 1, math.tointeger(tonumber(key)) or key:sub(2, -2))
      rest = before
    end
  end
end

-- --- values ---

-- The value that a lazily loaded name of this table will have; loads the module if it is one of lkrun's.
local function named(value, key)
  for kind, names in ipairs(fields.names_of(value)) do
    local module = rawget(names, key)
    if module and embedded[module] then
      local ok, part = pcall(require, module)
      if not ok or kind == 1 or type(part) ~= "table" then return ok and part or nil end
      return rawget(part, key)
    end
  end
end

local function field(value, key)
  for _ = 1, fields.LEVELS do
    if type(value) == "table" then
      local found = rawget(value, key)
      if found == nil then found = named(value, key) end
      if found ~= nil then return found end
    end
    value = fields.index_of(value)
    if value == nil then return nil end
  end
end

-- --- candidates ---

local function matching(names, start)
  local list = {}
  for name in pairs(names) do
    local hidden = name:find "^_" and not start:find "^_"
    if name:sub(1, #start) == start and not hidden then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function names_for(text)
  local chain, separator, word = chain_before(text)
  if not chain then return {}, word or "" end
  local found = {}
  if #chain == 0 then
    fields.add(found, _G, false)
    if word ~= "" then
      for keyword in pairs(keywords) do found[keyword] = true end
    end
    return matching(found, word), word
  end
  local value = _G
  for _, key in ipairs(chain) do
    value = field(value, key)
    if value == nil then return {}, word end
  end
  fields.add(found, value, separator == ":")
  return matching(found, word), word
end

-- The names of modules that begin like this: loaded ones, those inside the executable, and those in files on
-- package.path and package.cpath.
local function modules_for(start)
  local found = {}
  for _, names in ipairs { package.loaded, package.preload } do
    for name in next, names do
      local is_private = type(name) == "string" and (name:find "%.core%f[%W]" or name:find "^lkrun%.internal%f[%W]")
      if type(name) == "string" and not is_private then found[name] = true end
    end
  end
  local parent = start:match "^(.*)%." or ""
  for template in (package.path .. ";" .. package.cpath):gmatch "[^;]+" do
    local folder, ending = template:match "^(.-)/?%?(.*)$"
    if folder and not folder:find "%?" then
      if folder == "" then folder = template:sub(1, 1) == "/" and "/" or "." end
      for _, name in ipairs(directory.list(folder .. "/" .. parent:gsub("%.", "/"))) do
        local module
        if name:sub(-#ending) == ending then module = name:sub(1, #name - #ending) end
        if name:sub(-1) == "/" and ending == "/init.lua" then module = name:sub(1, -2) end
        if module and module:find "^[%w_-]+$" then found[(parent == "" and "" or parent .. ".") .. module] = true end
      end
    end
  end
  return matching(found, start), start
end

-- Files whose path begins like this. A name with the quote in it would end the string, and is left out.
local function files_for(content, quote)
  local folder, start = content:match "^(.*/)([^/]*)$"
  start = start or content
  local list = {}
  for _, name in ipairs(directory.list(folder or ".")) do
    local hidden = name:find "^%." and not start:find "^%."
    local plain = not name:find "[%c\\]" and not name:find(quote, 1, true)
    if name:sub(1, #start) == start and not hidden and plain then list[#list + 1] = name end
  end
  table.sort(list)
  return list, start
end

local function candidates(text)
  local quote, from, at = open_string(text)
  if quote == "comment" or quote == "long" then return {}, "" end
  if not quote then return names_for(text) end
  local content, before = text:sub(from), text:sub(1, at - 1)
  if before:find "%f[%w_]require%s*%(?%s*$" then
    local list, start = modules_for(content)
    return list, start, quote
  end
  local list, start = files_for(content, quote)
  return list, start, quote
end

-- --- what is inserted or listed ---

local function shared_start(list)
  local first, last = list[1], list[#list] -- the list is sorted, so what these two share, all share
  local length = 0
  while length < #first and first:byte(length + 1) == last:byte(length + 1) do length = length + 1 end
  while length > 0 and (first:byte(length + 1) or 0) & 0xC0 == 0x80 do length = length - 1 end
  return first:sub(1, length)
end

-- The names in columns, to be read downwards.
local function listing(list, columns)
  local width, more = 0, #list > LISTED and ("\n... %d more"):format(#list - LISTED) or ""
  local count = math.min(#list, LISTED)
  for i = 1, count do width = math.max(width, (utf8.len(list[i]) or #list[i]) + 2) end
  local across = math.max(1, columns // width)
  local rows = (count + across - 1) // across
  local lines = {}
  for row = 1, rows do
    local line = {}
    for i = row, count, rows do
      local name = list[i]
      line[#line + 1] = name .. (" "):rep(width - (utf8.len(name) or #name))
    end
    lines[row] = table.concat(line):gsub(" +$", "")
  end
  return table.concat(lines, "\n") .. more
end

--- What to insert after the text; where that is not certain, the candidates to list; nil where there is none.
---@param text string everything before the cursor
---@param columns integer characters of a line, for the list
---@return string? insertion
---@return string? listing
function complete.complete(text, columns)
  local list, start, quote = candidates(text)
  if #list == 0 then return nil end
  local insertion = shared_start(list):sub(#start + 1)
  if #list == 1 and quote and not list[1]:find "/$" then insertion = insertion .. quote end
  if insertion ~= "" then return insertion end
  if #list > 1 then return nil, listing(list, columns) end
  return nil
end

return complete

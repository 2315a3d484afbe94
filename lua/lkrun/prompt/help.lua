--- `help(value)` of the prompt: finds what a value is called, and prints what its annotation says.
local lk = require "lkrun"
local annotations = require "lkrun.prompt.annotations"
local inside = require "lkrun.internal.fields"
local manual = require "lkrun.core.manual"
local source = require "lkrun.core.module_text"
local terminal = require "lkrun.core.terminal"

local TEXT_LEAST <const> = 30 -- characters that the third of three columns needs on a line

local lazy = inside.names_of(lk)

local help = {}

local introduction = [[
lk is the module lkrun, with everything in it; lkrec.NAME are the modules of lkrec.

  help(lk)             what is in lk
  help(lk.invoker)     what a function does: its parameters, what it gives, what it raises
  help(lk.tensor)      the functions of a module, help(t) and help(t.mv) of an object t
  help "tensor:mv"     the same by name; help "lkrun.Invoker" lists the methods of an invoker

Tab completes names, fields, methods, modules after require, and files in strings. Up and Down
go through the history, Ctrl-R searches it. _ is the last result. Ctrl-C drops the line or
interrupts what runs. Ctrl-D on an empty line leaves, and so does os.exit().

The manual: ]]

-- --- what a value is called ---

-- The names of lkrun's and lkrec's modules that are loaded, in order.
local function our_modules()
  local list = {}
  for name in pairs(source.modules()) do
    if package.loaded[name] ~= nil then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- A module's name as one types it at the prompt: "lk.tensor" for "lkrun.tensor".
local function short(module) return (module:gsub("^lkrun%f[.%z]", "lk")) end

local function entry_named(file, name)
  for _, entry in ipairs(file.entries) do
    if entry.name == name then return entry end
  end
  for _, fields in pairs(file.classes) do
    for _, entry in ipairs(fields) do
      if entry.name == name then return entry end
    end
  end
end

-- The module in which a field of lk is found.
local function module_of(name)
  for _, names in ipairs(lazy) do
    if names[name] then return names[name] end
  end
end

-- The annotated class of a metatable, its fields and its file: lkrun.Tensor for the metatable "lkrun.tensor".
local function class_of(meta)
  local name = type(meta) == "table" and rawget(meta, "__name")
  if type(name) ~= "string" then return nil end
  local wanted = name:gsub("_", ""):lower()
  for _, path in pairs(source.modules()) do
    local file = annotations.file(path)
    for class, fields in pairs(file.classes) do
      if class:lower() == wanted and class:find "%.%u" then return class, fields, file end
    end
  end
end

-- The annotation of a function, and its full name.
local function find_function(value)
  local info = debug.getinfo(value, "S")
  local own = info.source:sub(1, 1) == "@" and annotations.file(info.source:sub(2))
  local exact
  for _, entry in ipairs(own and own.entries or {}) do
    if entry.line == info.linedefined then exact = entry end
  end
  for name in pairs(lazy[2]) do
    if rawget(lk, name) == value then
      local file = annotations.module(module_of(name))
      local entry = exact or file and entry_named(file, name)
      if entry then return entry, "lk." .. name end
    end
  end
  for _, module in ipairs(our_modules()) do
    local loaded = package.loaded[module]
    local file = annotations.module(module)
    for key, part in next, type(loaded) == "table" and loaded or {} do
      local is_it = rawequal(part, value) and type(key) == "string"
      local entry = is_it and (exact or entry_named(file, key))
      if entry then return entry, short(module) .. "." .. key end
    end
  end
  for _, meta in next, debug.getregistry() do
    local class, fields, file = class_of(meta)
    for key, part in next, class and inside.index_in(meta) or {} do
      if rawequal(part, value) then
        for _, entry in ipairs(fields) do
          if entry.name == key then return entry, class:match "[^.]*$" .. ":" .. key end
        end
        local entry = exact or entry_named(file, key)
        if entry then return entry, class:match "[^.]*$" .. ":" .. key end
      end
    end
  end
  if exact then return exact, exact.name end
end

-- The annotation of a function of the program, read from the program's file.
local function find_in_program(value)
  local info = debug.getinfo(value, "S")
  local file <close> = info.source:sub(1, 1) == "@" and io.open(info.source:sub(2), "rb") or nil
  if not file then return nil end
  for _, entry in ipairs(annotations.parse(file:read "a", info.source:sub(2)).entries) do
    if entry.line == info.linedefined then return entry, entry.name end
  end
end

local function find_in_standard(value)
  for key, part in next, _G do
    if rawequal(part, value) and type(key) == "string" and debug.getinfo(value, "S").what == "C" then return key end
  end
  for _, module in ipairs(require "lkrun.internal.standard") do
    for key, part in next, package.loaded[module] do
      if rawequal(part, value) then return module .. "." .. key end
    end
  end
end

-- --- as text ---

local function add(lines, ...)
  for _, line in ipairs { ... } do lines[#lines + 1] = line end
end

-- Breaks a text without line ends into lines of at most `width`, the second and later ones indented. A word
-- longer than that gets a line of its own.
local function wrapped(text, width, indent)
  local lines, line = {}, nil
  local margin = (" "):rep(indent)
  for space, word in text:gmatch "(%s*)(%S+)" do
    local length = utf8.len(word) or #word
    if not line then
      line = space .. word
    elseif (utf8.len(line) or #line) + #space + length <= width then
      line = line .. space .. word
    else
      lines[#lines + 1] = line
      line = margin .. word
    end
  end
  lines[#lines + 1] = line
  return lines
end

-- Adds comment lines: paragraphs are filled anew, indented lines stay as they are.
local function add_text(lines, text, width)
  local paragraph = {}
  local function flush()
    if #paragraph > 0 then add(lines, table.unpack(wrapped(table.concat(paragraph, " "), width, 0))) end
    paragraph = {}
  end
  for _, line in ipairs(text) do
    if line:find "^%S" then
      paragraph[#paragraph + 1] = line
    else
      flush()
      add(lines, line)
    end
  end
  flush()
end

-- Adds rows of a name, a type and a text in three columns; what is too long goes on in the next line.
local function add_columns(lines, rows, width)
  local widths = { 0, 0 }
  for _, row in ipairs(rows) do
    for i = 1, 2 do widths[i] = math.max(widths[i], #row[i] <= 28 and #row[i] or 0) end
  end
  for _, row in ipairs(rows) do
    local head = "  " .. row[1] .. (" "):rep(widths[1] - #row[1]) .. "  "
    local indent, kind = widths[1] + (row[3] ~= "" and 6 or 4), row[2]
    local beside = widths[1] + widths[2] + 6 -- the column of the texts, if there is room for them
    if row[3] ~= "" and #kind <= widths[2] and beside + TEXT_LEAST <= width then
      indent, kind = beside, kind .. (" "):rep(widths[2] - #kind)
    end
    local line = head .. kind .. (row[3] ~= "" and "  " .. row[3] or "")
    add(lines, table.unpack(wrapped(line:gsub(" +$", ""), width, indent)))
  end
end

local function signature(entry, name)
  if not entry.parameters then return name .. (entry.type and ": " .. entry.type or "") end
  local optional = {}
  for _, param in ipairs(entry.params) do
    if param.name:find "%?$" then optional[param.name:sub(1, -2)] = true end
  end
  local list = {}
  for i, parameter in ipairs(entry.parameters) do list[i] = parameter .. (optional[parameter] and "?" or "") end
  local results = {}
  for i, text in ipairs(entry.returns) do results[i] = text:match "^fun%f[(]" or text:match "^[^%s]+" end
  return ("%s(%s)%s"):format(name, table.concat(list, ", "),
    #results > 0 and " -> " .. table.concat(results, ", ") or "")
end

local function first_sentence(text)
  local joined = table.concat(text, " ")
  return joined:match "^(.-)[.;]%f[%s\0]" or joined
end

local function add_fields(lines, fields, width)
  local rows = {}
  for _, entry in ipairs(fields) do
    local kind, brief = entry.type or "", entry.brief or ""
    if entry.method then
      kind, brief = signature(entry, "fun"), brief ~= "" and brief or first_sentence(entry.text)
    end
    rows[#rows + 1] = { entry.name .. (entry.optional and "?" or ""), kind, brief }
  end
  add_columns(lines, rows, width)
end

local function has_methods(fields)
  for _, entry in ipairs(fields) do
    if entry.method then return true end
  end
end

local function entry_text(entry, name, width)
  local lines = wrapped(signature(entry, name), width, 4)
  if #entry.text > 0 then
    add(lines, "")
    add_text(lines, entry.text, width)
  end
  if #entry.params > 0 then
    add(lines, "")
    local rows = {}
    for i, param in ipairs(entry.params) do rows[i] = { param.name, param.type, param.text } end
    add_columns(lines, rows, width)
  end
  for i, text in ipairs(entry.returns) do
    add(lines, table.unpack(wrapped((i == 1 and "returns " or "        ") .. text, width, 10)))
  end
  for _, param in ipairs(entry.params) do
    local class = param.type:match "^(lk[%w_.]*%.%u[%w_]*Options)%f[%W]" or param.type:match "^(lkrun%.Options)%f[%W]"
    local fields = class and annotations.class(class)
    if fields then
      add(lines, "", class)
      add_fields(lines, fields, width)
    end
  end
  local made = entry.returns[1] and entry.returns[1]:match "^lk[%w_.]*%.%u[%w_]*"
  local fields = made and made ~= entry.class and annotations.class(made)
  local kind = fields and has_methods(fields) and "methods" or "fields"
  if fields then add(lines, "", ("help %q lists its %s"):format(made, kind)) end
  return table.concat(lines, "\n")
end

-- A heading, and below it a line for each function of a module, or name of lk.
local function names_text(head, names, width, describe)
  local lines, rows = {}, {}
  add_text(lines, head, width)
  table.sort(names)
  for _, name in ipairs(names) do rows[#rows + 1] = { name, describe(name), "" } end
  if #rows > 0 then add(lines, "") end
  add_columns(lines, rows, width)
  return table.concat(lines, "\n")
end

local function lk_text(width)
  local names = {}
  for _, list in ipairs(lazy) do
    for name in pairs(list) do names[#names + 1] = "lk." .. name end
  end
  return names_text(annotations.module("lkrun").head, names, width, function(name)
    local key = name:sub(4)
    local file = annotations.module(module_of(key))
    local entry = lazy[2][key] and file and entry_named(file, key)
    return first_sentence(entry and entry.text or file and file.head or {})
  end)
end

local function module_text(module, width)
  local file, names = annotations.module(module), {}
  for key in next, package.loaded[module] do
    if type(key) == "string" and not key:find "^_" then names[#names + 1] = key end
  end
  return names_text({ short(module), "", table.unpack(file.head) }, names, width, function(name)
    local entry = entry_named(file, name)
    return entry and first_sentence(entry.text) or ""
  end)
end

-- Whether this is lkrec, or a part of it, as the prompt has it: a table whose modules load when they are named.
local function is_namespace(value)
  return type(value) == "table" and value ~= lk and #inside.names_of(value) > 0
end

local function namespace_text(value, width)
  local rows = {}
  local function collect(part)
    for _, module in next, inside.names_of(part)[1] do
      rows[#rows + 1] = { module, first_sentence(annotations.module(module).head), "" }
    end
    for _, inner in next, part do
      if is_namespace(inner) then collect(inner) end
    end
  end
  collect(value)
  table.sort(rows, function(a, b) return a[1] < b[1] end)
  local lines = { "Batch recommendation; its modules:", "" }
  add_columns(lines, rows, width)
  return table.concat(lines, "\n")
end

local function class_text(class, fields, file, width)
  local lines = { class, "" }
  add_text(lines, fields.text or {}, width)
  if fields.text and #fields.text > 0 then add(lines, "") end
  local all = table.move(fields, 1, #fields, 1, {})
  for _, entry in ipairs(file.entries) do -- methods that are written in Lua
    if entry.class == class:match "[^.]*$" then
      all[#all + 1] = { name = entry.name, type = signature(entry, "fun"), brief = first_sentence(entry.text) }
    end
  end
  add_fields(lines, all, width)
  return table.concat(lines, "\n")
end

local function function_text(value, width)
  local entry, name = find_function(value)
  if not entry then entry, name = find_in_program(value) end
  if entry then return entry_text(entry, name, width) end
  local known = find_in_standard(value)
  if known then
    return ("%s: a function of Lua's own; https://www.lua.org/manual/5.4/manual.html#pdf-%s"):format(known, known)
  end
  return lk.show(value) .. ": nothing is written about it"
end

-- --- by name ---

-- The value that a name like "lk.tensor.zeros" or "t:mv" has, found without calling anything of the program's:
-- a loaded module, or a global and its fields and methods; "tensor" is lk.tensor where there is no such global.
local function value_of(name)
  local value = package.loaded[name]
  if value ~= nil then return value end
  value = _G
  for key in name:gmatch "[^.:]+" do
    local part
    if type(value) == "table" then part = rawget(value, key) end
    if part == nil and value == _G and module_of(name) then value = lk end
    if part == nil and value == lk and module_of(key) then part = lk[key] end
    local meta = part == nil and value ~= _G and debug.getmetatable(value)
    if class_of(meta) then part = rawget(inside.index_of(value) or {}, key) end
    if part == nil then return nil end
    value = part
  end
  return value
end

-- Help about a class, or a field of one: "lkrun.Options", "tensor:mv", "Invoker.map".
local function class_entry(name, width)
  local fields, in_file = annotations.class(name)
  if fields then return class_text(name, fields, in_file, width) end
  local owner, key = name:match "([%w_]+)[.:]([%w_]+)$"
  if not owner then return nil end
  for _, path in pairs(source.modules()) do
    local file = annotations.file(path)
    for class, list in pairs(file.classes) do
      local own = class:match "[^.]*$"
      if class:find "%.%u" and own:lower() == owner:lower() then
        for _, entry in ipairs(list) do
          if entry.name == key then return entry_text(entry, own .. ":" .. key, width) end
        end
        local entry = entry_named(file, key)
        if entry then return entry_text(entry, own .. ":" .. key, width) end
      end
    end
  end
end

local function text_of(value, width)
  if value == lk then return lk_text(width) end
  if is_namespace(value) then return namespace_text(value, width) end
  if type(value) == "function" then return function_text(value, width) end
  for _, module in ipairs(our_modules()) do
    if type(value) == "table" and package.loaded[module] == value then return module_text(module, width) end
  end
  local class, fields, file = class_of(debug.getmetatable(value))
  if class then return class_text(class, fields, file, width) end
end

--- Prints help about a value, or about what has this name; without an argument, about the prompt.
---@param ... any
function help.print(...)
  if select("#", ...) == 0 then
    print(introduction .. (manual.path() or "docs/README.md where lkrun's sources are"))
    return
  end
  local value = ...
  local width = math.max(terminal.columns() - 1, 30)
  local text
  if type(value) == "string" then
    local named = value_of(value)
    text = named ~= nil and text_of(named, width) or class_entry(value, width)
  else
    text = text_of(value, width)
  end
  print(text or ("%s: nothing is written about it; help(lk) lists what there is"):format(lk.show(value)))
end

return help

--- The reference as Markdown, from the annotations of the public modules: build/lkrun docs/site/reference.lua
--- Standard output gets a section a module, with its functions and the fields of its classes.
local annotations = require "lkrun.prompt.annotations"
local source = require "lkrun.core.module_text"

-- Modules that have a page in the manual are public.
local function is_public(name)
  local page = name == "lkrun" and "README" or name:gsub("^lkrun%.", ""):gsub("%.", "-")
  local file <close> = io.open(("docs/%s.md"):format(page))
  return file ~= nil
end

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
  return lines
end

-- The name that a definition's own line gives: "invoker:map", nil for what is local.
local function written_name(line, entry)
  if line:find "^%s*local " then return nil end
  return line:match "^%s*function%s+([%w_.:]+)" or line:match "^%s*([%w_.]+)%s*=" or entry.name
end

local function signature(entry, name)
  if not entry.parameters then return name end
  local optional, results = {}, {}
  for _, param in ipairs(entry.params) do
    if param.name:find "%?$" then optional[param.name:sub(1, -2)] = true end
  end
  local parameters = {}
  for i, parameter in ipairs(entry.parameters) do
    parameters[i] = parameter .. (optional[parameter] and "?" or "")
  end
  for i, text in ipairs(entry.returns) do results[i] = text:match "^%S+" end
  return ("%s(%s)%s"):format(name, table.concat(parameters, ", "),
    #results > 0 and " -> " .. table.concat(results, ", ") or "")
end

-- Text that Markdown takes as it is: annotations have no markup but backticks and indented formulas.
local function escaped(text)
  if text:find "^    " then return text end
  local plain = text:gsub("^# ", ""):gsub("[][<>*_|]", "\\%0")
  return (plain:gsub("`[^`]*`", function(code) return (code:gsub("\\([][<>*_|])", "%1")) end))
end

local function described(name, kind, text)
  return ("- `%s` `%s`%s"):format(name, kind, text ~= "" and ": " .. escaped(text) or "")
end

local function print_entry(entry, name)
  print(("\n### `%s`\n"):format(signature(entry, name)))
  for _, line in ipairs(entry.text) do print(escaped(line)) end
  if #entry.params > 0 then print "" end
  for _, param in ipairs(entry.params) do print(described(param.name, param.type, param.text)) end
  for _, text in ipairs(entry.returns) do print(("- returns `%s`"):format((text:gsub("`", "")))) end
end

local function print_class(class, fields)
  print(("\n### `%s`\n"):format(class))
  for _, line in ipairs(fields.text or {}) do print(escaped(line)) end
  print ""
  for _, field in ipairs(fields) do
    print(described(field.name .. (field.optional and "?" or ""), field.type or "any",
      table.concat(field.text or {}, " ")))
  end
end

local names = {}
for name in pairs(source.modules()) do
  if is_public(name) then names[#names + 1] = name end
end
table.sort(names)
for _, name in ipairs(names) do
  local path = source.modules()[name]
  local file, lines = annotations.file(path), lines_of(source.text(path))
  print(("\n## %s\n"):format(name))
  for _, line in ipairs(file.head) do print(escaped(line)) end
  for _, entry in ipairs(file.entries) do
    local written = written_name(lines[entry.line] or "", entry)
    if written then print_entry(entry, written) end
  end
  local classes = {}
  for class, fields in pairs(file.classes) do
    if #fields > 0 then classes[#classes + 1] = class end
  end
  table.sort(classes)
  for _, class in ipairs(classes) do print_class(class, file.classes[class]) end
end

-- Every public name stands in the manual and is annotated where it is made, and nothing else stands there.
local lk = require "lkrun"
local read = require("tests.support.files").contents

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) == "string" and not key:find "^__" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- The upvalue of this name that a function has: a module's table, or what a C class keeps its methods in.
local function upvalue(func, wanted)
  for i = 1, 255 do
    local name, value = debug.getupvalue(func, i)
    if not name then return nil end
    if name == wanted then return value end
  end
end

local loader = getmetatable(lk).__index
local modules, fields = upvalue(loader, "modules"), upvalue(loader, "fields")

local function methods_of(object)
  local index = debug.getmetatable(object).__index
  if type(index) == "function" then index = upvalue(index, "") or upvalue(index, "methods") end
  return sorted_keys(index)
end

-- The files of a module: { name =, source =, page = }.
local function files_of(module)
  local path = module:gsub("%.", "/")
  local page = module:gsub("^lkrun%.", ""):gsub("%.", "-")
  return { name = module, source = "lua/" .. path .. ".lua", page = "docs/" .. page .. ".md" }
end

-- The code in a page, by the page's path: fenced blocks, indented lines, and spans in backticks.
local code_of = setmetatable({}, {
  __index = function(self, path)
    local code, fenced = {}, false
    for line in read(path):gmatch "[^\n]*" do
      if line:find "^```" then
        fenced = not fenced
      elseif fenced or line:find "^    " then
        code[#code + 1] = line
      else
        for span in line:gmatch "`([^`]+)`" do code[#code + 1] = span end
        if line:find "^#" then code[#code + 1] = line end
      end
    end
    self[path] = table.concat(code, "\n")
    return self[path]
  end,
})

local function pages()
  local list = { "README.md" }
  local pipe <close> = io.popen "ls docs/*.md"
  for path in pipe:lines() do list[#list + 1] = path end
  return list
end

local function assert_documented(page, pattern, name)
  if not code_of[page]:find(pattern) then error(("%s says nothing of %s"):format(page, name), 0) end
end

-- Fails unless the name is a field of a class, or a definition right below a comment that names every parameter.
local function assert_annotated(source, name)
  local comment, text = "", read(source)
  if text:find("\n%-%-%-@field " .. name .. "%?? ") then return end
  for line in text:gmatch "[^\n]*" do
    if line:find "^%-%-%-" or comment ~= "" and line:find "^%-%-" then
      comment = comment .. line .. "\n"
    else
      local parameters = line:match("^function [%w_]+[.:]" .. name .. "%(([^)]*)%)")
        or line:match("^local function " .. name .. "%(([^)]*)%)")
      if parameters and comment ~= "" then
        for parameter in parameters:gmatch "[%w_]+" do
          if not comment:find("@param " .. parameter .. "%f[^%w_]") then
            error(("%s: %s has no @param %s"):format(source, name, parameter), 0)
          end
        end
        return
      elseif comment ~= "" and line:find("^[%w_]+%." .. name .. " = ") then
        if not comment:find "@type" then error(("%s: %s has no @type"):format(source, name), 0) end
        return
      end
      comment = ""
    end
  end
  error(("%s: %s is not annotated"):format(source, name), 0)
end

-- Names that are called through the module itself.
local function is_callable(value) return (debug.getmetatable(value) or {}).__call ~= nil end

describe("the public interface", function()
  it("has each name of lk on its module's page, and as a field of the class that editors know", function()
    local class = read "lua/lkrun/init.lua"
    for _, name in ipairs(sorted_keys(fields)) do
      local files = files_of(fields[name])
      assert.is_not_nil(lk[name], name)
      assert_documented(files.page, "lk%." .. name .. "%f[^%w_]", "lk." .. name)
      if not is_callable(lk[name]) then assert_annotated(files.source, name) end
    end
    for _, names in ipairs { fields, modules, { VERSION = true } } do
      for _, name in ipairs(sorted_keys(names)) do
        assert.truthy(class:find("\n%-%-%-@field " .. name .. " "), "no ---@field " .. name .. " in init.lua")
      end
    end
  end)

  it("has each function of its modules there", function()
    for name, module in pairs(modules) do
      local files = files_of(module)
      for _, key in ipairs(sorted_keys(lk[name])) do
        assert_documented(files.page, "%f[%w_]" .. key .. "%f[^%w_]", ("lk.%s.%s"):format(name, key))
        assert_annotated(files.source, key)
      end
      if is_callable(lk[name]) then
        assert_documented(files.page, "lk%." .. name .. "%(", "calling lk." .. name)
        assert.truthy(read(files.source):find "@overload", files.source)
      end
    end
    for _, key in ipairs(sorted_keys(lk.WorkChunks)) do
      assert_documented("docs/chunks.md", "lk%.WorkChunks%." .. key, key)
      assert_annotated("lua/lkrun/chunks.lua", key)
    end
  end)

  local inv <close> = lk.invoker(nil, function() end, { n_jobs = 1 })
  local p <close> = lk.invoke_progress { total = 1 }
  local classes = {
    invoker = { methods_of(inv), methods_of(inv:submit(1)) },
    progress = { methods_of(p) },
    log = { methods_of(lk.log.get "public") },
    random = { methods_of(lk.random.stream(1)) },
    chunks = { methods_of(lk.WorkChunks.create(1)) },
    sparse = { methods_of(lk.sparse.csr({ 1 }, { 1 }, { 1 }, { 1, 1 })) },
    tensor = { methods_of(lk.tensor.zeros { 1 }) },
  }

  it("has each method of its objects there", function()
    for name, lists in pairs(classes) do
      for _, methods in ipairs(lists) do
        assert.is_true(#methods > 0, name)
        for _, method in ipairs(methods) do
          assert_documented(("docs/%s.md"):format(name), "%f[%w_]" .. method .. "%f[^%w_]", name .. ":" .. method)
          assert_annotated(("lua/lkrun/%s.lua"):format(name), method)
        end
      end
    end
  end)

  it("has nothing in the annotations that is not there", function()
    local annotations = require "lkrun.prompt.annotations"
    local fresh <close> = lk.invoker(nil, error, { n_jobs = 1, on_error = "return" })
    local bar <close> = lk.invoke_progress { total = 1 }
    local things = {
      Invoker = fresh, Future = fresh:submit(1), Stats = fresh:stats(), Progress = bar, Logger = lk.log.get "public",
      ["random.Stream"] = lk.random.stream(1), WorkChunks = lk.WorkChunks.create(1), Config = lk.config(),
      Sparse = lk.sparse.csr({ 1 }, { 1 }, { 1 }, { 1, 1 }), Tensor = lk.tensor.zeros { 1 },
      TaskError = fresh:collect({ "x" }).errors[1],
    }
    for name, thing in pairs(things) do
      local count = 0
      for _, field in ipairs((annotations.class("lkrun." .. name))) do
        local is_named = field.name:find "^[%a_][%w_]*$" and not field.optional
        local may_be_nil = field.type == "any" or field.type:find "%?$"
        if is_named and not may_be_nil then
          assert.is_not_nil(thing[field.name], name .. "." .. field.name)
          count = count + 1
        end
      end
      assert.is_true(count > 0, name)
    end
    for name, module in pairs(modules) do
      for _, entry in ipairs(annotations.module(module).entries) do
        local is_public = not entry.class and read(files_of(module).source):find("\n[%w_ ]+%." .. entry.name .. "[ (]")
        if is_public then assert.is_not_nil(lk[name][entry.name], name .. "." .. entry.name) end
      end
    end
  end)

  it("has each option of an invoker in a table of its page, and in the annotations", function()
    local _, err = pcall(lk.invoker, nil, print, { [""] = 1 })
    local annotated = read "lua/lkrun/invoker.lua":match "(%-%-%-@class lkrun.Options\n.-)\n[^-]"
    local page, known = read "docs/invoker.md", {}
    for name in err:match "there are (.*)$":gmatch "[%w_]+" do
      known[name] = true
      assert.truthy(page:find("\n| `" .. name .. "` |"), name)
      assert.truthy(annotated:find("@field " .. name .. "? ", 1, true), name)
    end
    assert.is_true(known.n_jobs)
    for name in annotated:gmatch "@field ([%w_]+)" do assert.is_true(known[name], name) end
  end)

  it("has each field of its objects and tables of options on a page", function()
    local with_classes = {
      "chunks", "config", "internal/errors", "invoker", "log", "progress", "random", "sparse", "tensor",
    }
    for _, name in ipairs(with_classes) do
      local page = ("docs/%s.md"):format(name == "internal/errors" and "invoker" or name)
      for field in read(("lua/lkrun/%s.lua"):format(name)):gmatch "\n%-%-%-@field ([%a_][%w_]*)" do
        assert_documented(page, "%f[%w_]" .. field .. "%f[^%w_]", name .. "." .. field)
      end
    end
  end)

  it("of lkrec has a page a module", function()
    local count = 0
    for module in read "docs/lkrec.md":gmatch "\n| %[(lkrec[%w_.]+)%]" do
      local files = files_of(module)
      for _, key in ipairs(sorted_keys(require(module))) do
        assert_documented(files.page, "%f[%w_]" .. key .. "%f[^%w_]", module .. "." .. key)
        assert_annotated(files.source, key)
      end
      count = count + 1
    end
    assert.is_true(count > 4)
  end)

  it("has what the manual speaks of", function()
    local methods = { close = true, lines = true, read = true, write = true, seek = true, setvbuf = true }
    for name in pairs(string) do methods[name] = true end
    for _, lists in pairs(classes) do
      for _, list in ipairs(lists) do
        for _, method in ipairs(list) do methods[method] = true end
      end
    end
    for _, path in ipairs(pages()) do
      for name, after, key in code_of[path]:gmatch "%f[%w_.]lk%.([%a_]+)(%.?)([%a_]*)" do
        local value = lk[name]
        assert.is_not_nil(value, ("%s: lk.%s"):format(path, name))
        if after == "." and key ~= "" then
          assert.is_not_nil(value[key], ("%s: lk.%s.%s"):format(path, name, key))
        end
      end
      for method in code_of[path]:gmatch "%f[%w_][%w_%]})]+:([%a_]+)%(" do
        assert.is_true(methods[method], ("%s: a method %s"):format(path, method))
      end
    end
  end)
end)

describe("the manual", function()
  it("has every page in its index", function()
    local index = read "docs/README.md"
    for _, path in ipairs(pages()) do
      local name = path:match "^docs/(.*)$"
      if name and name ~= "README.md" then
        assert.truthy(index:find("](" .. name .. ")", 1, true), name .. " is not in docs/README.md")
      end
    end
  end)

  it("has every variable that lkrun reads, and no other", function()
    local read_there, documented = {}, {}
    local function collect(command, into)
      local pipe <close> = io.popen(command)
      for name in pipe:lines() do into[name] = true end
    end
    collect([[grep -rhoE '"LK_[A-Z_]+"' lkrun lua | tr -d '"']], read_there)
    assert.same(read_there, require "lkrun.internal.variables")
    for _, path in ipairs(pages()) do
      for name in read(path):gmatch "%f[%w_]LK_[%u_]+" do documented[name] = true end
    end
    documented.LK_BNID = nil -- an example of a misspelt variable, in the page on lkrun check
    assert.is_true(read_there.LK_NUM_PROCS)
    assert.same(sorted_keys(read_there), sorted_keys(documented))
  end)
end)

local program = require "tests.support.program"
local annotations = require "lkrun.prompt.annotations"
local terminal = require "tests.support.terminal"

-- What the prompt writes for these lines.
local function typed(lines)
  local result = program.shell("$LKRUN -i <<'END'\n" .. lines .. "\nEND")
  assert.equal("", result.err)
  return result.out
end

describe("help", function()
  it("tells about itself", function()
    assert.matches("help%(lk.invoker%).*Tab completes.*Ctrl%-D on an empty line leaves, and so does os.exit%(%)",
      (typed "help()"))
  end)

  it("names the manual by a path that is there", function()
    local page = (typed "help()"):match "The manual: (/[^\n]*)\n$"
    local file <close> = assert(io.open(page))
    assert.equal("# The manual", file:read())
  end)

  it("names the manual as that of the sources where there is none beside the executable", function()
    local result = program.shell [[folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT &&
      cp "$LKRUN" "$folder/lkrun" && echo 'help()' | "$folder/lkrun" -i]]
    assert.matches("The manual: docs/README.md where lkrun's sources are\n$", result.out)
  end)

  it("shows the annotation of a function: what it does, parameters, options", function()
    local text = typed "help(lk.invoker)"
    assert.matches("^lk.invoker%(model, func, options%?%) %-> lkrun.Invoker\n\nMakes workers that apply", text)
    assert.matches("\n  model +any +what func gets first; tensors in it are read%-only\n +for workers\n", text)
    assert.matches("\nlkrun.Options\n.*\n  retries%? +integer +how often a task is tried again", text)
  end)

  it("shows those of functions and methods written in C", function()
    local zeros = typed "help(lk.tensor.zeros)"
    assert.matches("^lk.tensor.zeros%(shape, dtype%?%) %-> lkrun.Tensor\n\nMakes a tensor of zeros", zeros)
    assert.matches("\n  dtype%? +lkrun.dtype\n", zeros)
    assert.matches("^Tensor:mv%(x, out%?%) %-> lkrun.Tensor\n.*Products: OpenBLAS",
      (typed "t = lk.tensor.ones{2}\nhelp(t.mv)"))
    local invoker = "inv = lk.invoker(1, print, {n_jobs = 1})\n"
    local submit = typed(invoker .. "help(inv.submit)")
    assert.matches("^Invoker:submit%(task%) %-> lkrun.Future\n\nHands out one task", submit)
    assert.matches("\n  task  any\nreturns lkrun.Future\n", submit)
    assert.matches("^Invoker:stats%(%) %-> lkrun.Stats\n\nWhat the invoker has done",
      (typed(invoker .. "help(inv.stats)")))
    assert.matches("^Invoker:shutdown%(%)\n\nEnds the workers", (typed(invoker .. "help(inv.shutdown)")))
    assert.matches("^Invoker:map%(tasks, %.%.%.%)", (typed(invoker .. "help(inv.map)")))
  end)

  it("leads from a function to the methods of what it gives", function()
    local class = (typed "help(lk.invoker)"):match '\nhelp "([%w.]+)" lists its methods\n$'
    local text = typed(("help '%s'"):format(class))
    assert.matches("\n  submit +fun%(task%) %-> lkrun.Future +Hands out one task and returns at once\n", text)
    assert.matches("\n  shutdown +fun%(%) +Ends the workers", text)
    assert.matches("\n  map +fun%(tasks, %.%.%.%)", text)
    assert.matches('\nhelp "lkrun.Stats" lists its fields\n$', (typed "help 'invoker:stats'"))
  end)

  it("lists modules, lk itself, and the methods of objects", function()
    assert.matches("\n  lk.tensor +Dense tensors.*", (typed "help(lk)"))
    assert.matches("\n  zeros +Makes a tensor of zeros", (typed "help(lk.tensor)"))
    assert.matches("\n  topk +fun", (typed "help(lk.tensor.ones{2})"))
    assert.matches("\n  ndcg ", (typed "help(lkrec.metrics)"))
  end)

  it("lists the modules of lkrec before they are loaded", function()
    assert.matches("\n  lkrec.als.implicit +Matrix factorization", (typed "help(lkrec)"))
    assert.matches("\n  lkrec.knn.item +Item%-item", (typed "help(lkrec.knn)"))
  end)

  it("fills lines as wide as the terminal, names and texts below their own kind", function()
    for _, columns in ipairs { 50, 120 } do
      local t <close> = terminal.run([[require "lkrun.prompt" help(lk.invoker)]], { columns = columns, rows = 200 })
      local screen = t:expect "status 0"
      local widest = 0
      for line in screen:gmatch "[^\n]+" do widest = math.max(widest, #line) end
      assert.is_true(widest < columns and widest > columns - 12, screen)
      assert.matches(columns == 50 and "\n  model     any  what func gets first; tensors in\n +it are read%-only"
        or "\n  model     any +what func gets first; tensors in it are read%-only for workers\n", screen)
    end
  end)

  it("takes names", function()
    for _, name in ipairs { "tensor:mv", "Tensor.mv", "lk.tensor:mv" } do
      assert.matches("^Tensor:mv%(", (typed(("help '%s'"):format(name))))
    end
    assert.matches("^lk.invoker%(model, func, options%?%)", (typed "help 'invoker'"))
    assert.matches("nothing is written about it", (typed "function invoker() end\nhelp 'invoker'"))
    assert.matches("^Invoker:submit%(", (typed "inv = lk.invoker(1, print, {n_jobs = 1})\nhelp 'inv.submit'"))
    assert.matches("^Invoker:collect%(", (typed "help 'lk.invoker.collect'"))
    assert.matches("^lk.map%(model, func, tasks, options%?%)", (typed "help 'lk.map'"))
    assert.matches("\n  n_jobs%? +integer", (typed "help 'lkrun.Options'"))
  end)

  it("shows the comment above a function of the program's", function()
    local script = os.tmpname()
    do
      local file <close> = io.open(script, "w")
      file:write "--- Doubles a number.\n---@param x number to double\nfunction double(x) return 2 * x end\n"
    end
    local result = program.shell("echo 'help(double)' | $LKRUN -i " .. script)
    assert.equal("double(x)\n\nDoubles a number.\n\n  x  number  to double\n", result.out)
    os.remove(script)
  end)

  it("names the manual for Lua's own, and says so where there is nothing", function()
    assert.matches("manual.html#pdf%-string.format\n$", (typed "help(string.format)"))
    assert.matches("nothing is written about it", (typed "help(function() end)"))
    assert.matches("^nil: nothing is written about it", (typed "help(nil)"))
    assert.matches("^no.such: nothing is written about it", (typed "help 'no.such'"))
  end)
end)

describe("annotations", function()
  it("of a text: entries, parameters that go on, fields of classes", function()
    local file = annotations.parse([[
--- What it is.
---@class thing
---@field size integer[]|nil of it
--- Both of these.
---@field a fun(x: integer, y: string): boolean
---@field b? number
local thing = {}

--- Makes one.
---@param name string what it is called,
---  in two lines
---@return thing # of yours
--- Raises.
function thing.make(name) return name end
]], "thing.lua")
    assert.same({ "What it is." }, file.head)
    local make = file.entries[1]
    assert.equal("make", make.name)
    assert.equal(14, make.line)
    assert.same({ "Makes one.", "Raises." }, make.text)
    assert.same({ { name = "name", type = "string", text = "what it is called, in two lines" } }, make.params)
    assert.same({ "thing  of yours" }, make.returns)
    local fields = file.classes.thing
    assert.equal("integer[]|nil", fields[1].type)
    assert.same({ "of it" }, fields[1].text)
    assert.equal("fun(x: integer, y: string): boolean", fields[2].type)
    assert.same({ "Both of these." }, fields[3].text)
    assert.is_true(fields[3].optional)
  end)

  it("of a function's type say what a definition's do", function()
    local file = annotations.parse([[
---@class thing
---@field get fun(self: thing, keys: table<string, integer>, ...: (fun(a: any, b: any): any)): any, thing[] in turn
---@field either fun(x: integer)|fun(x: string)

local thing = {}
]], "thing.lua")
    local get, either = table.unpack(file.classes.thing)
    assert.same({ "keys", "..." }, get.parameters)
    assert.same({
      { name = "keys", type = "table<string, integer>", text = "" },
      { name = "...", type = "(fun(a: any, b: any): any)", text = "" },
    }, get.params)
    assert.same({ "any", "thing[]" }, get.returns)
    assert.equal("in turn", get.brief)
    assert.is_nil(either.parameters)
  end)
end)

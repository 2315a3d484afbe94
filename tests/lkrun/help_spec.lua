local program = require "tests.program"
local annotations = require "lkrun.annotations"
local terminal = require "tests.terminal"

-- What the prompt writes for these lines.
local function typed(lines)
  local result = program.shell("$LKRUN -i <<'END'\n" .. lines .. "\nEND")
  assert.equal("", result.err)
  return result.out
end

describe("help", function()
  it("tells about itself", function()
    assert.matches("help%(lk.invoker%).*Tab completes", (typed "help()"))
  end)

  it("shows the annotation of a function: what it does, parameters, options", function()
    local text = typed "help(lk.invoker)"
    assert.matches("^lk.invoker%(model, func, options%?%) %-> lkrun.Invoker\n\nMakes workers that apply", text)
    assert.matches("\n  model +any +what func gets first; tensors in it are read%-only\n +for workers\n", text)
    assert.matches("\nlkrun.Options\n.*\n  retries%? +integer +how often a task is tried again", text)
  end)

  it("shows those of functions and methods written in C", function()
    assert.matches("^lk.tensor.zeros: fun%(shape: .*Makes a tensor of zeros", (typed "help(lk.tensor.zeros)"))
    assert.matches("^Tensor:mv: .*Products: OpenBLAS", (typed "t = lk.tensor.ones{2}\nhelp(t.mv)"))
    assert.matches("^Invoker:submit: .*Hands out one task", (typed "help(lk.invoker(1, print, {n_jobs = 1}).submit)"))
    assert.matches("^Invoker:map%(tasks, %.%.%.%)", (typed "help(lk.invoker(1, print, {n_jobs = 1}).map)"))
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
    assert.matches("^Tensor:mv: ", (typed "help 'tensor:mv'"))
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
end)

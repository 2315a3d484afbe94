local program = require "tests.support.program"

local function run(code, env)
  return program.run("local lk = require 'lkrun'; local log = lk.log.get 'train'\n" .. code, { env = env })
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

-- The records without their times, whose form is checked.
local function records(code, env)
  local result = run(code, env)
  assert.equal(0, result.status, result.err)
  local lines = lines_of(result.err)
  for i, line in ipairs(lines) do
    if line:sub(1, 1) ~= " " then
      assert.matches("^[0-2]%d:[0-5]%d:[0-6]%d%.%d%d%d ", line)
      lines[i] = line:sub(14)
    end
  end
  return lines
end

local all = [[
  log:debug("a %d", 1) log:info("b %s", "x") log:warn("c %5.2f", 1.5) log:error("d %q", "y")]]

describe("a logger", function()
  it("writes level, name and text to standard error, by the rules of string.format", function()
    assert.same({ "INFO train: b x", "WARN train: c  1.50", 'ERROR train: d "y"' }, records(all))
    assert.equal("", run(all).out)
  end)

  it("is one per name", function()
    assert.equal("true\tfalse\tlogger train\n", run([[
      print(lk.log.get "train" == log, lk.log.get "x" == log, log)]]).out)
  end)

  it("keeps a record of many lines recognisable", function()
    assert.same({ "INFO train: first", "    second", "    09:00:00.000 INFO fake: third" },
      records [[log:info("first\nsecond\n09:00:00.000 INFO fake: third\n\n")]])
  end)

  it("escapes control characters", function()
    assert.same({ [[INFO train: a\x1b[31mb\x0dc\x00d]] .. "\te" }, records [[log:info("%s", "a\27[31mb\rc\0d\te")]])
  end)

  it("writes a record of a megabyte in one piece", function()
    local lines = records [[log:info("%s", ("x"):rep(2^20))]]
    assert.same({ #"INFO train: " + 2 ^ 20 }, { #lines[1] })
  end)

  it("raises for arguments that don't fit the format, with the text", function()
    local result = run [[
      print(select(2, pcall(log.info, log, "100%!")))
      print(select(2, pcall(log.info, log, "epoch %d", "x")))
      print(select(2, pcall(log.info, log)))
      print(select(2, pcall(log.info, "no logger", "x")))]]
    local lines = lines_of(result.out)
    assert.matches([[^lkrun: logger:info: bad argument #2 .* in the format "100%%!"; the rules are ]], lines[1])
    assert.matches([[^lkrun: logger:info: bad argument #2 .* in the format "epoch %%d"; the rules are ]], lines[2])
    assert.matches("^lkrun: logger:info: bad argument #1 ", lines[3])
    assert.matches("lkrun.logger expected, got string", lines[4])
    assert.equal("", result.err)
  end)

  it("needs a name that fits a line", function()
    local result = run [[
      for _, name in ipairs {"", "a\nb", "a:b"} do print(pcall(lk.log.get, name)) end]]
    assert.equal(3, select(2, result.out:gsub("false\tlkrun: lk.log.get: ", "")))
  end)

  it("has no colour where standard error is not a terminal", function()
    assert.is_nil(run(all, { TERM = "xterm" }).err:find("\27", 1, true))
  end)
end)

describe("the level", function()
  it("is LK_LOG_LEVEL's", function()
    for level, lines in pairs { debug = 4, info = 3, warn = 2, error = 1, [""] = 3 } do
      assert.equal(lines, #records(all, { LK_LOG_LEVEL = level }))
    end
  end)

  it("that is none is named by variable and value", function()
    local result = run("", { LK_LOG_LEVEL = "loud" })
    assert.equal(1, result.status)
    assert.matches('lkrun: LK_LOG_LEVEL: "loud" is not a level; expected debug, info, warn or error',
      result.err, 1, true)
  end)

  it("that is none is named by a program that logs nothing itself, too", function()
    local result = program.run("require 'lkrun'.config()", { env = { LK_LOG_LEVEL = "loud" } })
    assert.equal(1, result.status)
    assert.matches('lkrun: LK_LOG_LEVEL: "loud" is not a level', result.err, 1, true)
  end)

  it("can be read and set", function()
    local result = run [[
      print(lk.log.level()) lk.log.set_level "warn" print(lk.log.level())
      print(select(2, pcall(lk.log.set_level, "loud")))]]
    assert.same({ "info", "warn",
      'lkrun: lk.log.set_level: "loud" is not a level; expected debug, info, warn or error' }, lines_of(result.out))
    assert.same({ 'ERROR train: d "y"' }, records("lk.log.set_level 'error'" .. all))
  end)

  it("below it nothing is formatted", function()
    assert.same({}, records [[
      log:debug("%d", "no number")
      log:debug("%s", setmetatable({}, {__tostring = function() error "asked for" end}))]])
  end)
end)

it("closed standard error is not an error", function()
  local result = program.run([[require "lkrun".log.get "x":info "lost" print "on"]],
    { before = [[sh -c 'exec "$@" 2>&-' sh]] })
  assert.same({ "on\n", 0 }, { result.out, result.status })
end)

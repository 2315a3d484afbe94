-- The prompt as it is used: on a terminal, key by key.
local await = require "tests.support.await"
local processes = require "tests.support.processes"
local program = require "tests.support.program"
local terminal = require "tests.support.terminal"

local states = {} -- folders to remove

local function new_state()
  local folder = os.tmpname()
  os.remove(folder)
  states[#states + 1] = folder
  return folder
end

-- A prompt, with a state folder of its own or options.state; options.command: in a shell instead.
local function prompt(options)
  options = options or {}
  local state = options.state or new_state()
  local env = { XDG_STATE_HOME = state, HOME = "/nonexistent", EDITRC = "/nonexistent" }
  for name, value in pairs(options.env or {}) do env[name] = value end
  local t = terminal.run("", {
    command = options.command or '"$LKRUN"', columns = options.columns, rows = options.rows, env = env,
  })
  t.state = state
  if not options.command then t:expect "Ctrl-D ends\n>" end
  return t
end

local function type_keys(t, text) t:keys("-l", text) end

-- Waits until the screen ends with this pattern.
local function expect_end(t, pattern)
  return t:expect(function(screen) return screen:find(pattern .. "$") end)
end

-- Types a line and waits for what it prints, and the next prompt.
local function enter(t, line, pattern)
  type_keys(t, line)
  t:keys "Enter"
  return expect_end(t, "\n" .. pattern .. "\n>")
end

local function history_of(t) return processes.read(t.state .. "/lkrun/history") or "" end

local function paste(t, text)
  local path = os.tmpname()
  do
    local file <close> = io.open(path, "w")
    file:write(text)
  end
  t:tmux("load-buffer", path)
  t:tmux("paste-buffer", "-p")
  os.remove(path)
end

-- lkrun's process below the window's shell.
local function process_of(t)
  local shell = tonumber(t:tmux("display-message", "-p", "#{pane_pid}"):match "%d+")
  return await(function()
    for _, pid in ipairs(processes.children(shell)) do
      if (processes.read(("/proc/%d/comm"):format(pid)) or ""):find "^lkrun" then return pid end
    end
  end, "lkrun below the window's shell")
end

describe("the prompt on a terminal", function()
  teardown(function()
    for _, folder in ipairs(states) do os.execute("rm -rf " .. program.quote(folder)) end
  end)

  it("prints results without return, has the last one as _, and survives errors", function()
    local t <close> = prompt()
    enter(t, "6 * 7", "42")
    enter(t, "_ + 1", "43")
    enter(t, "lk.tensor.ones{2, 2}", "tensor f64 %[2, 2%]\n%[%[1.0, 1.0%],\n %[1.0, 1.0%]%]")
    enter(t, "error 'no'", "lkrun: stdin:1: no\nstack traceback:.*")
    enter(t, "'still ' .. 'here'", "still here")
    t:keys "C-d"
    t:expect "status 0"
  end)

  it("goes on in the next line, and keeps the whole in the history", function()
    local t <close> = prompt()
    type_keys(t, "for i = 1, 2 do")
    t:keys "Enter"
    expect_end(t, "do\n>>")
    enter(t, "print('no ' .. i) end", "no 1\nno 2")
    t:keys "Up"
    expect_end(t, "> for i = 1, 2 do\nprint%('no ' .. i%) end")
    t:keys "Enter"
    expect_end(t, "end\nno 1\nno 2\n>")
    assert.equal("for i = 1, 2 do\\nprint('no ' .. i) end\n", history_of(t))
  end)

  it("edits the line, and moves up and down within several", function()
    local t <close> = prompt()
    type_keys(t, "'acd'")
    t:keys("C-a", "Right", "Right", "b", "C-e")
    enter(t, "", "abcd")
    paste(t, "one = 1\ntwo = 2\nthree = 3")
    expect_end(t, "> one = 1\ntwo = 2\nthree = 3")
    t:keys("Up", "Up")
    type_keys(t, "0")
    expect_end(t, "> one = 10\ntwo = 2\nthree = 3")
    t:keys("Down", "C-e")
    t:keys "Enter"
    expect_end(t, "three = 3\n>")
    enter(t, "one + two + three", "15")
    paste(t, "local four = 4\nfunction add(n)\n  return n + four\nend\nadd(one)\n  + 1")
    expect_end(t, "%+ 1")
    t:keys "Enter"
    expect_end(t, "\n15\n>")
  end)

  it("runs what is pasted once, as one entry, tabs and all", function()
    local lines = { "function pasted(x)" }
    for i = 1, 48 do lines[#lines + 1] = ("\tlocal value_%d = x + %d -- pri\t"):format(i, i) end
    lines[#lines + 1] = "\treturn value_48 end"
    local t <close> = prompt()
    paste(t, table.concat(lines, "\n") .. "\n")
    expect_end(t, "\n +return value_48 end")
    t:keys "Enter"
    expect_end(t, "\n>")
    enter(t, "pasted(2)", "50")
    local entry = table.concat(lines, "\\n")
    assert.equal(entry .. "\npasted(2)\n", history_of(t))
    t:keys "Up"
    expect_end(t, "\n> pasted%(2%)")
    t:keys "Up"
    expect_end(t, "\n +return value_48 end")
    t:keys "Enter"
    expect_end(t, "\n>")
    enter(t, "pasted(3)", "51")
    assert.equal(entry .. "\npasted(2)\n" .. entry .. "\npasted(3)\n", history_of(t))
  end)

  it("shows the values of the expression that a paste ends with, once", function()
    local t <close> = prompt()
    local function pasted(text, pattern)
      t:keys "C-l"
      expect_end(t, "^>")
      paste(t, text)
      t:keys "Enter"
      expect_end(t, "^> " .. text:match "^[^\n]*":gsub("%p", "%%%0") .. ".*\n" .. pattern .. "\n>")
    end
    pasted("y = 5\ny", "5")
    pasted("function twice(x)\n  print 'called'\n  return 2 * x\nend\ntwice(y)", "called\n10")
    pasted("y = 6\n  twice(\n    y)  -- of six", "called\n12")
    pasted("seen = {}\nfor i = 1, 3 do\n  seen[i] = twice(i)\nend\n#seen", "called\ncalled\ncalled\n3")
    pasted("z = twice\n(4)", "called") -- one statement, as in a script
    pasted("z, y\n", "8%s+6")
    pasted("if y then\n  y\nend", "lkrun: stdin:[23]: [^\n]*near 'end'[^\n]*")
  end)

  it("completes names, lists them, and keeps the line", function()
    local t <close> = prompt()
    type_keys(t, "lk.tensor.zer")
    t:keys "Tab"
    expect_end(t, "> lk.tensor.zeros")
    t:keys "C-u"
    enter(t, "t = lk.tensor.ones{1, 3} print 'made'", "made")
    type_keys(t, "t:t")
    t:keys "Tab"
    expect_end(t, "> t:t\n.*topk.*transpose.*\n> t:t")
    type_keys(t, "ot")
    t:keys "Tab"
    type_keys(t, "()")
    enter(t, "[1][3]", "1.0")
  end)

  it("drops the line at Ctrl-C, and interrupts a map whose pool stays usable", function()
    local t <close> = prompt()
    type_keys(t, "for broken in")
    expect_end(t, "> for broken in")
    t:keys "C-c"
    expect_end(t, "> for broken in\n>")
    paste(t, "for unfinished = 1, 2 do\nx = 1")
    expect_end(t, "\nx = 1")
    t:keys("Up", "C-c")
    expect_end(t, "\nx = 1\n>")
    enter(t, "function func(_, n) while n > 2 do end return n end print 'set'", "set")
    enter(t, "inv = lk.invoker(1, func, {n_jobs = 2}) print 'made'", "made")
    type_keys(t, "print 'on' for _ in inv:map{3, 4} do end")
    t:keys "Enter"
    t:expect "\non"
    t:keys "C-c"
    expect_end(t, "interrupted\n.*>")
    enter(t, "inv:collect{1, 2}[2], inv:stats().crashes", "2 +0")
    enter(t, "inv:shutdown()", "[^\n]*shutdown%(%)")
    t:keys "C-d"
    t:expect "status 0"
  end)

  it("draws the line again when the window changes its size", function()
    local t <close> = prompt()
    local text = "local a_long_line_of_text = 'that needs more than one row on a narrow terminal "
    local device = t:tmux("display-message", "-p", "#{pane_tty}"):match "%S+"
    type_keys(t, text)
    for i, columns in ipairs { 80, 50, 30, 120, 80 } do
      t:resize(columns)
      await(function()
        return program.capture("stty size <" .. device):match " (%d+)$" == tostring(columns)
      end, "the terminal's new size")
      type_keys(t, tostring(i)) -- when this key is on the screen, the line was drawn for the new size
      text = text .. i
      local solid = ("> " .. text):gsub("%s", "")
      t:expect(function()
        local screen = t:screen(true):gsub("%s", "") -- rows as they are, not joined
        return screen:sub(-#solid) == solid and not screen:find "local.*local"
      end)
    end
    type_keys(t, "' print 'whole'")
    t:keys "Enter"
    expect_end(t, "\nwhole\n>")
  end)

  it("comes below output without an end of line, and below a bar", function()
    local t <close> = prompt()
    enter(t, "do io.write 'unfinished' end", "unfinished")
    type_keys(t, "bar = lk.invoke_progress{label = 'half', total = 10} bar:update(5)")
    t:keys "Enter"
    expect_end(t, "bar:update%(5%)\n>")
    enter(t, "1 + 1", "2")
    enter(t, "bar:update(5) bar:finish()", "half 100%%[^\n]*")
  end)
end)

describe("the prompt's history", function()
  it("is there in the next session, and shared by two at once", function()
    local state = new_state()
    local one <close> = prompt { state = state }
    local other <close> = prompt { state = state }
    enter(one, "'from ' .. 'one'", "from one")
    enter(other, "'from ' .. 'other'", "from other")
    enter(one, "'one ' .. 'again'", "one again")
    assert.equal("'from ' .. 'one'\n'from ' .. 'other'\n'one ' .. 'again'\n", history_of(one))
    local third <close> = prompt { state = state }
    third:keys("Up", "Up")
    expect_end(third, "> 'from ' %.%. 'other'")
    third:keys "C-r"
    type_keys(third, "one'")
    third:keys "Enter"
    expect_end(third, "\nfrom one\n>")
  end)

  it("keeps newlines and backslashes, and is the user's alone", function()
    local t <close> = prompt()
    paste(t, [[x = '\n\\n'
print(#x)]])
    t:keys "Enter"
    expect_end(t, "\n3\n>")
    assert.equal([[x = '\\n\\\\n'\nprint(#x)]] .. "\n", history_of(t))
    t:keys "C-d"
    local again <close> = prompt { state = t.state }
    again:keys "Up"
    expect_end(again, [[> x = '\n\\n'%s+print%(#x%)]])
    assert.equal("600", program.capture("stat -c %a " .. t.state .. "/lkrun/history"))
  end)

  it("is cut to its newer half when it is too long", function()
    local state = new_state()
    os.execute("mkdir -p " .. state .. "/lkrun")
    do
      local file <close> = io.open(state .. "/lkrun/history", "w")
      for i = 1, 5 << 18 do file:write(("x%d\n"):format(i)) end
    end
    local t <close> = prompt { state = state }
    enter(t, "'last'", "last")
    local text = history_of(t)
    assert.is_true(#text < 6 << 20)
    assert.matches("^x%d+\n.*\nx1310720\n'last'\n$", text)
  end)

  it("that cannot be written is told once", function()
    local t <close> = prompt { env = { XDG_STATE_HOME = "/proc/none" } }
    enter(t, "1", "lkrun: /proc/none/lkrun/history: the history could not be written.*\n1")
    enter(t, "2", "> 2\n2")
  end)
end)

describe("the terminal after the prompt", function()
  -- A shell in which lkrun runs; pastes are not marked when `cat -v` shows no brackets.
  local function shell_prompt()
    local t = prompt { command = "exec bash --norc --noprofile" }
    enter(t, "bind 'set enable-bracketed-paste off'; ulimit -c 0; PS1='\\n>'; echo ready", "ready\n")
    type_keys(t, '"$LKRUN"')
    t:keys "Enter"
    expect_end(t, "Ctrl%-D ends\n>")
    return t
  end

  local function assert_plain(t)
    type_keys(t, "stty | grep -c -e '-icanon' -e '-echo '; cat -v")
    t:keys "Enter"
    expect_end(t, "\n0")
    paste(t, "text of a paste\n")
    expect_end(t, "\n0\ntext of a paste\ntext of a paste")
    t:keys "C-c"
    expect_end(t, "%^C\n\n>")
  end

  it("is in order after Ctrl-D, os.exit(), a crash, and SIGTERM", function()
    local t <close> = shell_prompt()
    t:keys "C-d"
    expect_end(t, "\n\n>")
    assert_plain(t)
    type_keys(t, 'clear; "$LKRUN"')
    t:keys "Enter"
    expect_end(t, "Ctrl%-D ends\n>")
    enter(t, "os.exit()", "")
    assert_plain(t)
    for _, signal in ipairs { "ABRT", "TERM" } do
      type_keys(t, 'clear; "$LKRUN"')
      t:keys "Enter"
      expect_end(t, "Ctrl%-D ends\n>")
      type_keys(t, "half a line")
      expect_end(t, "> half a line")
      os.execute(("kill -%s %d"):format(signal, process_of(t)))
      expect_end(t, "half a line.*\n>")
      assert_plain(t)
    end
  end)

  it("is in order after a crash that somebody else's handler tells of", function()
    local t <close> = shell_prompt()
    local folder = program.executable:gsub("[^/]*$", "tests/")
    enter(t, "package.cpath = '" .. folder .. "?.so' fault = require 'fault'", ".*")
    enter(t, "fault.handle 'HUP'", "true")
    enter(t, "fault.handle 'SEGV'", "true")
    type_keys(t, "'goes ' ..")
    expect_end(t, "> 'goes ' %.%.")
    os.execute(("kill -HUP %d"):format(process_of(t)))
    t:expect "crash handler"
    enter(t, " 'on'", "goes on") -- the prompt still edits the line
    type_keys(t, "half a line")
    expect_end(t, "half a line")
    os.execute(("kill -SEGV %d"):format(process_of(t)))
    expect_end(t, "half a line.*\n>")
    assert_plain(t)
  end)

  it("is the shell's while the prompt is stopped, and the prompt's again after", function()
    local t <close> = shell_prompt()
    type_keys(t, "kept = 1 + 1")
    t:keys "C-z"
    t:expect "Stopped"
    assert_plain(t)
    type_keys(t, "clear; fg")
    t:keys "Enter"
    expect_end(t, '"$LKRUN"\n> kept = 1 %+ 1')
  end)
end)

describe("the prompt elsewhere", function()
  it("reads plain lines on a dumb terminal", function()
    local t <close> = prompt { env = { TERM = "dumb" } }
    enter(t, "6 * 7", "42")
    t:keys "C-d"
    t:expect "status 0"
    assert.equal("", history_of(t))
  end)

  it("comes after a script, with its globals", function()
    local env = { XDG_STATE_HOME = new_state() }
    local t <close> = terminal.run("answer = 42", { command = '"$LKRUN" -i "$SCRIPT"', env = env })
    t:expect "Ctrl-D ends\n>"
    enter(t, "answer", "42")
  end)

  it("knows lk, lkrec and their modules without require", function()
    local result = program.shell [[echo 'lk.tensor.ones{2}:sum(), #lkrec.metrics, #lkrec.als.implicit' | $LKRUN -i]]
    assert.equal("2.0\t0\t0\n", result.out)
  end)
end)

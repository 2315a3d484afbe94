-- Programs on a real terminal. Each has a tmux server of its own with one window, whose screen is read as text.
local lk = require "lkrun"
local program = require "tests.support.program"

local PATIENCE = 200 -- seconds; a program under a sanitizer is slow on a loaded machine

local terminal = {}
terminal.__index = terminal

local count = 0

local function words(list)
  local quoted = {}
  for i, word in ipairs(list) do quoted[i] = program.quote(word) end
  return table.concat(quoted, " ")
end

function terminal:tmux(...)
  local pipe <close> = assert(io.popen(("tmux -L %s -f /dev/null %s 2>&1"):format(self.socket, words { ... })))
  return pipe:read "a"
end

--- Runs `code` in a window of 80 by 24, or options.columns by options.rows. options.env: variables;
--- options.command: a shell command line instead, in which $LKRUN and $SCRIPT name interpreter and script.
--- The terminal is closed at the end of its scope (local t <close>).
function terminal.run(code, options)
  options = options or {}
  count = count + 1
  local self = setmetatable({ script = os.tmpname(), gate = os.tmpname() }, terminal)
  self.socket = "lkrun-" .. self.script:match "[^/]*$" .. "-" .. count
  os.remove(self.gate)
  do
    local file <close> = assert(io.open(self.script, "wb"))
    file:write(terminal.prelude, code)
  end
  local env = {
    LANG = "C.UTF-8", LC_ALL = "", NO_COLOR = "", TERM = "screen", GATE = self.gate, LK_PROGRESS = "",
    LK_PROGRESS_DIR = "", LK_LOG_LEVEL = "", LKRUN = program.executable, SCRIPT = self.script,
  }
  for name, value in pairs(options.env or {}) do env[name] = value end
  local line = { "env" }
  for name, value in pairs(env) do line[#line + 1] = name .. "=" .. value end
  line[#line + 1], line[#line + 2] = "sh", "-c"
  line[#line + 1] = "trap : INT; " .. (options.command or '"$LKRUN" "$SCRIPT"') .. "; echo status $?; cat >/dev/null"
  self:tmux("new-session", "-d", "-x", tostring(options.columns or 80), "-y", tostring(options.rows or 24),
    words(line))
  return self
end

-- The program begins with this. Its wait() returns when the test opens the gate; it draws the display meanwhile.
terminal.prelude = [[
  local lk = require "lkrun"
  local function wait(display, name)
    local gate = os.getenv "GATE" .. (name or "")
    repeat
      if display then display:update(0) end
      os.execute "sleep 0.02"
      local file = io.open(gate)
    until file and file:close()
  end
]]

function terminal:open_gate(name)
  assert(io.open(self.gate .. (name or ""), "w")):close()
end

--- The lines of the screen without trailing blanks; with `escapes`, the escape sequences of colours are kept.
function terminal:screen(escapes)
  local text = self:tmux("capture-pane", "-p", escapes and "-e" or "-J")
  return (text:gsub("[ \n]+$", ""):gsub(" +\n", "\n"))
end

--- Waits until the condition, a function of the screen or a text that it should contain, holds; returns the screen.
function terminal:expect(condition, escapes)
  local holds = condition
  if type(condition) == "string" then
    holds = function(screen) return screen:find(condition, 1, true) end
  end
  local screen
  local until_then = lk.clock() + PATIENCE
  repeat
    screen = self:screen(escapes)
    if holds(screen) then return screen end
    os.execute "sleep 0.05"
  until lk.clock() > until_then
  error("the screen never showed " .. tostring(condition) .. " but:\n" .. screen, 2)
end

function terminal:resize(columns, rows)
  self:tmux("resize-window", "-x", tostring(columns), "-y", tostring(rows or 24))
end

function terminal:keys(...) self:tmux("send-keys", ...) end

function terminal:__close()
  local socket = self:tmux("display-message", "-p", "#{socket_path}"):match "^/[^\n]*"
  self:tmux "kill-server"
  if socket then os.remove(socket) end
  os.remove(self.script)
  os.execute("rm -f " .. program.quote(self.gate) .. "*")
end

return terminal

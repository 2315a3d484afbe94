-- Runs busted specs inside this lkrun: build/lkrun tests/run.lua [busted options] FILE...
-- All of them, each in a process of its own: make check.
if #arg == 0 then
  io.stderr:write "tests/run.lua: expected the specs to run; make check runs all\n"
  os.exit(2)
end
-- busted's handlers of its own need a terminal library; ours ends with one line that adds up.
local options = table.concat(arg, " ")
if not options:find("-o", 1, true) then
  table.insert(arg, 1, "--output=tests/support/report.lua")
end
require "busted.runner" { standalone = false }

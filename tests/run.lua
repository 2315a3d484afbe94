-- Runs specs by busted, inside this lkrun: build/lkrun tests/run.lua [busted options] FILE...
-- `make check` runs all specs, each in a process of its own.
if #arg == 0 then
  io.stderr:write "tests/run.lua: expected the specs to run; make check runs all\n"
  os.exit(2)
end
-- busted's output handlers need a terminal library. tests/support/report.lua needs none, and its last line adds up.
local options = table.concat(arg, " ")
if not options:find("-o", 1, true) then
  table.insert(arg, 1, "--output=tests/support/report.lua")
end
require "busted.runner" { standalone = false }

-- Runs the busted specs inside lkrun itself: build/lkrun tests/run.lua [busted options or files]
local runner = require "busted.runner"
arg = arg or {}
if #arg == 0 then arg = { [0] = "tests/run.lua", "--pattern=_spec", "tests" } end
runner { standalone = false }

--- lkrun trace: summarizes a timeline that LK_TRACE made.
local command = require "lkrun.command"

local function define(parser)
  parser:argument("file", "The timeline: what LK_TRACE or an invoker's option trace named."):argname "FILE"
  parser:option("--longest -n", "How many of the longest tasks to list."):argname("N"):default("5")
    :convert(command.whole_number(1, 1000))
end

local function run(options)
  local read = require "lkrun.command.trace.read"
  local summary = require "lkrun.command.trace.summary"
  local terminal = require "lkrun.core.terminal"
  local file, problem = io.open(options.file, "rb")
  if not file then command.fail(2, "trace: %s; expected a timeline that LK_TRACE made", problem) end
  local good, invokers = pcall(read.invokers, file:lines(), options.longest)
  file:close()
  if not good then command.fail(2, "trace: %s: %s", options.file, invokers) end
  local shape = { columns = terminal.columns(), utf8 = terminal.is_utf8(), longest = options.longest }
  if #invokers == 0 then print "no invoker ran" end
  for i, invoker in ipairs(invokers) do
    if i > 1 then print() end
    print(summary.of(invoker, shape))
  end
  return 0
end

return {
  summary = "Summarizes a timeline: utilization, the longest tasks, imbalance, what the host waited for.",
  define = define,
  run = run,
  epilog = "Examples:\n  LK_TRACE=run.json lkrun script.lua\n  lkrun trace run.json",
}

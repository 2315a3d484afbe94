--- lkrun doctor: what lkrun would use here, why, and what is wrong.

local function define(parser)
  parser:flag("--json", "The same as one JSON object, for programs.")
end

local function run(options)
  local lk = require "lkrun"
  lk.log.set_level "error" -- the report has all that would be a warning
  local report = require("lkrun.command.doctor.facts").collect()
  local problems = require("lkrun.command.doctor.problems").of(report)
  if options.json then
    report.problems = #problems > 0 and problems or {}
    print(lk.json.encode(report, { indent = 2 }))
  else
    print(require("lkrun.command.doctor.text").of(report, problems))
  end
  for _, problem in ipairs(problems) do
    if problem.level == "error" then return 1 end
  end
  return 0
end

return {
  summary = "Says what lkrun would use here (CPUs, threads, BLAS, limits), why, and what is wrong.",
  define = define,
  run = run,
  epilog = "Examples:\n  lkrun doctor\n  LK_NUM_PROCS=8 LK_BIND=core lkrun doctor\n"
    .. "  lkrun doctor --json | jq .configuration\n\nThe status is 1 where something cannot work, else 0.",
}

-- Runs the benchmark: lkrun bench/run.lua [FIGURE...], or all figures if none is named. Each family of
-- figures runs in a process of its own, so that none inherits another's memory. Each figure is a line with
-- name=median, low= and high= (the quartiles), runs=, and the goal where there is one.
package.path = "bench/?.lua;" .. package.path
package.cpath = "build/bench/?.so;" .. package.cpath

local families = {
  "start", "first", "null", "roundtrip", "matvec", "efficiency", "big", "load", "heap", "payload", "recommend", "als",
  "crash", "soak", "scale", "trace",
  "rows", "snakemake",
}

local function family_of(figure) return figure:match "^[^.]+" end

local function check(figure)
  for _, family in ipairs(families) do
    if family == family_of(figure) then return end
  end
  io.stderr:write(("bench: unknown figure '%s'; expected %s\n"):format(figure, table.concat(families, ", ")))
  os.exit(2)
end

local wanted = #arg > 0 and arg or families
for _, figure in ipairs(wanted) do check(figure) end
if #arg == 1 then
  require("measure").wanted = arg[1]
  require("lkrun").initialize { processes = 2, threads = 1, backend_threads = 1, child_threads = 1 }
  dofile(("bench/%s.lua"):format(family_of(arg[1])))
else
  local failed = false
  for _, figure in ipairs(wanted) do
    if not os.execute(("'%s' bench/run.lua '%s' </dev/null"):format(arg[-1], figure)) then
      io.stderr:write(("bench: %s failed\n"):format(figure))
      failed = true
    end
  end
  os.exit(not failed)
end

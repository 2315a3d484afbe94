-- scale: 1 to 16 workers run tasks that sleep 1 ms. The figure is the tasks in a second relative to the number of
-- workers times what one plain process reaches in the same run. scale.N.bare is the same for N plain processes.
local lk = require "lkrun"
local bare = require "bare"
local measure = require "measure"

local SECONDS <const> = 1e-3
local EACH <const> = 400

for _, jobs in ipairs { 1, 2, 4, 8, 16 } do
  if measure.is_wanted(("scale.%d"):format(jobs)) then
    local inv <close> = lk.invoker(0, function(_, seconds) bare.sleep(seconds) end, { n_jobs = jobs })
    local tasks = {}
    for i = 1, EACH * jobs do tasks[i] = SECONDS end
    for _ in inv:map(table.move(tasks, 1, jobs * 2, 1, {})) do end -- afterwards the workers are running
    local seconds = measure.rounds(5, {
      pool = function()
        local start = lk.clock()
        for _ in inv:map(tasks) do end
        return lk.clock() - start
      end,
      one = function() return bare.sleepers(1, SECONDS, EACH) end,
      bare = function() return bare.sleepers(jobs, SECONDS, EACH) end,
    })
    measure.report(("scale.%d"):format(jobs), measure.ratio(seconds.one, seconds.pool), jobs == 16 and ">= 0.95" or nil)
    measure.report(("scale.%d.bare"):format(jobs), measure.ratio(seconds.one, seconds.bare))
  end
end

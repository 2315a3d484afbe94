--- lk.invoker without a model, as it is when it is called (tests/generic.lua puts others there), with so many jobs.
--- @param n_jobs integer
--- @return fun(func: function, options: table?): lkrun.Invoker
local lk = require "lkrun"

return function(n_jobs)
  return function(func, options)
    options = options or {}
    options.n_jobs = n_jobs
    return lk.invoker(nil, func, options)
  end
end

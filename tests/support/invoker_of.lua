--- lk.invoker without a model and with so many jobs. It is looked up when it is called: tests/support/generic.lua
--- replaces it.
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

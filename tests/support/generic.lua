--- Runs specs of invokers again with another kind of workers: what they test holds for every kind.
local lk = require "lkrun"
local invoker, map = lk.invoker, lk.map

--- `kind` is a value of the option `workers`, `specs` are names in tests/pool, `scope` is busted's _ENV.
return function(kind, specs, scope)
  local function with_kind(options)
    if options ~= nil and type(options) ~= "table" then return options end
    local copy = { workers = kind }
    for name, value in pairs(options or {}) do copy[name] = value end
    if kind == "threads" and not (options or {}).workers and (copy.retries or copy.timeout or copy.memory_limit) then
      copy.workers = nil -- threads refuse these options
    end
    return copy
  end
  lk.invoker = function(model, func, options) return invoker(model, func, with_kind(options)) end
  lk.map = function(model, func, tasks, options) return map(model, func, tasks, with_kind(options)) end
  for _, spec in ipairs(specs) do
    scope.describe("with workers = '" .. kind .. "':", function()
      assert(loadfile(("tests/pool/%s_spec.lua"):format(spec), "t", scope))()
    end)
  end
end

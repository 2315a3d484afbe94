-- The common parts of the figures that pools.py measures.
local pools = { names = { "multiprocessing", "futures", "joblib", "loky", "ray" } }

--- Returns a function that makes the command for one case of pools.py.
---@param case string
---@param count? integer|fun(peer: string): integer how many tasks
---@return fun(python: string, peer: string): string
function pools.command(case, count)
  return function(python, peer)
    local tasks = type(count) == "function" and count(peer) or count or 1
    return ("%s bench/peers/pools.py %s %s %d"):format(python, peer, case, tasks)
  end
end

return pools

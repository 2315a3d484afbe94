--- Waits until a condition holds and returns what it gave; raises an error after some minutes.
local lk = require "lkrun"
local PATIENCE = 200 -- seconds; a program under a sanitizer is slow on a loaded machine

return function(condition, what)
  local start = lk.clock()
  repeat
    local value = condition()
    if value then return value end
  until lk.clock() - start > PATIENCE
  error("waited in vain for " .. what, 2)
end

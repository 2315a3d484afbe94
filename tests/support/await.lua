--- Waits until a condition holds and gives what it returned; raises after some minutes.
local lk = require "lkrun"
local PATIENCE = 200 -- seconds; a sanitizer on a loaded machine needs some

return function(condition, what)
  local start = lk.clock()
  repeat
    local value = condition()
    if value then return value end
  until lk.clock() - start > PATIENCE
  error("waited in vain for " .. what, 2)
end

--- Checks the option `initial` of the training functions: what the items' factors begin with.
local lk = require "lkrun"

---@param where string # the training function, for messages
---@param initial any
---@param items integer
---@param factors integer
-- Raises unless it is a tensor [items, factors].
local function check_initial(where, initial, items, factors)
  local found
  if not lk.tensor.is(initial) then
    found = "a " .. type(initial)
  else
    local shape = initial:size()
    if #shape == 2 and shape[1] == items and shape[2] == factors then return end
    found = ("a tensor of [%s]"):format(table.concat(shape, ", "))
  end
  error(("lkrun: %s: initial is %s; expected a tensor of [%d, %d]"):format(where, found, items, factors), 0)
end

return check_initial

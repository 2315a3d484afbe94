-- What the specs of both ALS models share: a small matrix, and the product of two vectors as Lua's tables.
local lk = require "lkrun"

local small = { users = 30, items = 20 }

-- Values from 1 to 5; user 7 and item 9 have none.
function small.ratings(dtype)
  local stream = lk.random.stream(11)
  local rows, columns, values = {}, {}, {}
  for user = 1, small.users do
    for item = 1, small.items do
      if user ~= 7 and item ~= 9 and stream:uniform() < 0.3 then
        rows[#rows + 1], columns[#columns + 1] = user, item
        values[#values + 1] = stream:integer(1, 5)
      end
    end
  end
  return lk.sparse.csr(rows, columns, lk.tensor.from(values, dtype), { small.users, small.items })
end

function small.dot(x, y)
  local sum = 0.0
  for k = 1, #x do sum = sum + x[k] * y[k] end
  return sum
end

return small

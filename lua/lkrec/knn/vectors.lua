--- Similarities for neighbourhoods: the rows of a matrix as vectors of unit length, whose products are cosines.
local lk = require "lkrun"

local vectors = {}

--- A copy of a matrix in f32.
---@param matrix lkrun.Sparse # [rows, columns]
---@param values? boolean # false: every entry is 1
---@return lkrun.Sparse
function vectors.copy(matrix, values)
  local rows, columns, of_entries = matrix:triplets()
  of_entries = values == false and lk.tensor.ones({ #rows }, "f32") or of_entries:to "f32"
  return lk.sparse.csr(rows, columns, of_entries, matrix:size())
end

--- Subtracts from every row its mean, in place.
---@param matrix lkrun.Sparse # [rows, columns]
---@return lkrun.Tensor # [rows], f32: the means; 0 for a row without entries
function vectors.center(matrix)
  local means = lk.tensor.zeros({ matrix:size(1) }, "f32")
  for row, columns, values in matrix:rows() do
    if #columns > 0 then
      means:set(row, values:mean())
      values:sub(means:get(row))
    end
  end
  return means
end

--- Scales every row to unit length, in place; a row of zeros stays as it is.
---@param matrix lkrun.Sparse # [rows, columns]
---@return lkrun.Sparse # the matrix
function vectors.normalize(matrix)
  for _, columns, values in matrix:rows() do
    local norm = #columns > 0 and values:norm() or 0
    if norm > 0 then values:div(norm) end
  end
  return matrix
end

-- The place of a column in a row's ascending list of columns; nil where it is not there.
local function place_of(columns, wanted)
  local low, high = 1, #columns
  while low < high do
    local middle = (low + high) // 2
    if columns:get(middle) < wanted then low = middle + 1 else high = middle end
  end
  return high > 0 and columns:get(low) == wanted and low or nil
end

--- The cosines of some rows with all other rows.
---@param rows integer[]|lkrun.Tensor # row indices
---@param matrix lkrun.Sparse # [n, columns], rows of unit length
---@param transposed lkrun.Sparse # [columns, n], the same
---@param least number # above 0: similarities below this do not count
---@param keep? integer # how many similarities of a row count at most, the greatest
---@return lkrun.Sparse # [#rows, n]
function vectors.similarities(rows, matrix, transposed, least, keep)
  local products = matrix:index(rows):mm(transposed)
  for i, columns, values in products:rows() do
    local place = place_of(columns, rows[i])
    if place then values:set(place, 0) end -- a row is not similar to itself
  end
  return products:prune(least, keep)
end

return vectors

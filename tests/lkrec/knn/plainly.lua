-- Neighbourhood models by their definitions: loops over plain tables, all numbers f64.
local assert = require "luassert"

local plainly = {}

-- The entries of a sparse matrix as a table: ratings[row][column] is the value, or `value` if that is given.
local function table_of(matrix, value)
  local rows = {}
  for row, columns, values in matrix:rows() do
    rows[row] = {}
    for k = 1, #columns do rows[row][columns[k]] = value or values[k] end
  end
  return rows
end

local function means_of(rows)
  local means = {}
  for row, entries in ipairs(rows) do
    local sum, count = 0, 0
    for _, value in pairs(entries) do sum, count = sum + value, count + 1 end
    means[row] = count > 0 and sum / count or 0
  end
  return means
end

-- Rows less their means.
local function centered(rows, means)
  local result = {}
  for row, entries in ipairs(rows) do
    result[row] = {}
    for column, value in pairs(entries) do result[row][column] = value - means[row] end
  end
  return result
end

-- The cosine of each two rows, 0 for one with itself.
local function cosines_of(rows)
  local function product(a, b)
    local sum = 0
    for column, value in pairs(a) do sum = sum + value * (b[column] or 0) end
    return sum
  end
  local norms, result = {}, {}
  for row, entries in ipairs(rows) do norms[row] = math.sqrt(product(entries, entries)) end
  for i = 1, #rows do
    result[i] = {}
    for j = 1, #rows do
      local scale = norms[i] * norms[j]
      result[i][j] = i ~= j and scale > 0 and product(rows[i], rows[j]) / scale or 0
    end
  end
  return result
end

-- The sum of similarity × value, and of similarity, over the k most similar of `neighbours`, each
-- {similarity, value}, those of at least `least`; and how many there are.
local function aggregate(neighbours, k, least)
  local near = {}
  for place, neighbour in ipairs(neighbours) do
    if neighbour[1] >= least then near[#near + 1] = { neighbour[1], neighbour[2], place } end
  end
  table.sort(near, function(a, b)
    if a[1] ~= b[1] then return a[1] > b[1] end
    return a[3] < b[3]
  end)
  local sum, weight = 0, 0
  for i = 1, math.min(k, #near) do sum, weight = sum + near[i][1] * near[i][2], weight + near[i][1] end
  return sum, weight, #near
end

-- The scores of all rows for all columns, scores[row][column], nil where there is none: a row's neighbours
-- are the rows most similar to it that have the column. Rows are items for item-item neighbourhoods, else users.
function plainly.scores(matrix, k, least_neighbours, least, feedback)
  local explicit = feedback == "explicit"
  local rows = table_of(matrix, not explicit and 1 or nil)
  local means = means_of(rows)
  local values = explicit and centered(rows, means) or rows
  local cosines = cosines_of(values)
  local scores = {}
  for row = 1, #rows do
    scores[row] = {}
    for column = 1, matrix:size(2) do
      local neighbours = {}
      for other = 1, #rows do
        if values[other][column] then neighbours[#neighbours + 1] = { cosines[row][other], values[other][column] } end
      end
      local sum, weight, count = aggregate(neighbours, k, least)
      if count >= least_neighbours then scores[row][column] = explicit and means[row] + sum / weight or weight end
    end
  end
  return scores
end

-- Compares a tensor of scores with these, and counts those that neither has.
function plainly.check(expected, scores)
  local missing = 0
  for row = 1, scores:size(1) do
    for column = 1, scores:size(2) do
      local wanted, found = expected[row][column], scores:get(row, column)
      if wanted then
        assert.is_true(math.abs(wanted - found) < 2e-5, ("%d %d: %g, not %g"):format(row, column, found, wanted))
      else
        assert.is_true(found ~= found)
        missing = missing + 1
      end
    end
  end
  return missing
end

return plainly

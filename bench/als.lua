-- als: seconds to train implicit ALS with 50 factors and 20 epochs on MovieLens ratings (ml-latest-small)
-- with 2 threads, exactly and by conjugate gradients. LKRUN_RATINGS names the file.
local als = require "lkrec.als.implicit"
local data = require "lkrec.data"
local lk = require "lkrun"
local measure = require "measure"

local path = os.getenv "LKRUN_RATINGS" or "../shared/data/ml-latest-small/ratings.csv"
local file = io.open(path)
if not file then
  io.stderr:write("bench: als needs MovieLens ratings: set LKRUN_RATINGS=path/to/ratings.csv\n")
  return
end
file:close()
local matrix = data.matrix(data.load(path))

local function train(solver)
  return function()
    local start = lk.clock()
    als.train(matrix, { factors = 50, epochs = 20, solver = solver, n_jobs = 2 })
    return lk.clock() - start
  end
end

local seconds = measure.rounds(5, { cholesky = train "cholesky", cg = train "cg" })
measure.report("als.s", seconds.cholesky, "<= 1")
measure.report("als.cg.s", seconds.cg)

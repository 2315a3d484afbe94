-- Implicit ALS on MovieLens ratings, 50 factors, 20 epochs, exactly and by conjugate gradients.
local path = os.getenv "LKRUN_RATINGS" or "../shared/data/ml-latest-small/ratings.csv"

return {
  order = 7,
  peers = { "implicit" },
  command = function(python) return ("%s bench/peers/recommenders.py als '%s'"):format(python, path) end,
  columns = {
    { title = "ALS of 100,836 ratings, s", field = "seconds", figure = "als.s" },
    { title = "by conjugate gradients, s", field = "cg_seconds", figure = "als.cg.s" },
  },
}

-- Implicit ALS on MovieLens ratings, 50 factors, 20 epochs, exactly and by conjugate gradients.
local path = os.getenv "LKRUN_RATINGS" or "../shared/data/ml-latest-small/ratings.csv"

return {
  order = 7,
  group = "Recommenders",
  peers = { "implicit", "LensKit" },
  lenskit = "LensKit",
  command = function(python, peer)
    local program = peer == "LensKit" and "lenskit_als.py" or "recommenders.py als"
    return ("%s bench/peers/%s '%s'"):format(python, program, path)
  end,
  columns = {
    { title = "implicit ALS of MovieLens ratings, s", field = "seconds", figure = "als.s", drawn = true },
    { title = "by conjugate gradients, s", field = "cg_seconds", figure = "als.cg.s" },
  },
}

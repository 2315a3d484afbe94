-- The top 10 of 30,000 items for 20,000 users by 64 f32 factors, with all items and without 100 items of each user.
return {
  group = "Recommenders",
  order = 6,
  peers = { "implicit" },
  command = function(python) return python .. " bench/peers/recommenders.py recommend" end,
  columns = {
    { title = "top 10 of 30,000: users/s", field = "users_s", figure = "recommend.users_s", drawn = true,
      more_is_better = true },
    { title = "without what they have", field = "exclude_users_s", figure = "recommend.exclude.users_s" },
  },
}

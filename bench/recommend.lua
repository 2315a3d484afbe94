-- recommend: the top 10 of 30,000 items for 20,000 users by 64 f32 factors, in users a second, with all items and
-- without 100 items of each user. It is compared with the product alone, by as many workers: in the tiles of
-- lk.linalg.mips, and in one piece for a block of users, as a program would do that keeps all scores.
local lk = require "lkrun"
local batch = require "lkrec.batch"
local measure = require "measure"

local USERS <const>, ITEMS <const>, FACTORS <const>, SEEN <const> = 20000, 30000, 64, 100
local TILE <const>, BLOCK <const> = 384, 384

local model = {
  kind = "lkrec.als.implicit",
  user_factors = lk.tensor.randn({ USERS, FACTORS }, "f32"),
  item_factors = lk.tensor.randn({ ITEMS, FACTORS }, "f32"),
}
-- The data are tensors, not tables, because a fork copies the page tables of everything that the program holds.
local rows = lk.tensor.arange(1, USERS, "i64"):view(USERS, 1):expand(USERS, SEEN):reshape(USERS * SEEN)
local columns = lk.tensor.rand { USERS * SEEN }:mul(ITEMS):floor():add(1):to "i64"
local seen = lk.sparse.csr(rows, columns, lk.tensor.ones({ USERS * SEEN }, "f32"), { USERS, ITEMS })
local blocks = lk.WorkChunks(USERS, BLOCK, -(-USERS // BLOCK))

local function recommend(exclude)
  return function()
    local start = lk.clock()
    batch.recommend(model, nil, { n = 10, n_jobs = 2, exclude = exclude })
    return USERS / (lk.clock() - start)
  end
end

-- Computes the scores of a block of users for `width` items at a time, each time into the same tensor.
local function multiply_by(width)
  local scores
  local function multiply(factors, block)
    scores = scores or lk.tensor.zeros({ BLOCK, width }, "f32")
    local count = block[2] - block[1] + 1
    local users = factors.user_factors:narrow(1, block[1], count)
    for first = 1, ITEMS, width do
      local items = math.min(width, ITEMS - first + 1)
      users:mm(factors.item_factors:narrow(1, first, items):t(), scores:narrow(1, 1, count):narrow(2, 1, items))
    end
  end
  return function()
    local start = lk.clock()
    for _ in lk.map(model, multiply, blocks, { n_jobs = 2 }) do end -- luacheck: ignore 542
    return USERS / (lk.clock() - start)
  end
end

local speed = measure.rounds(7, {
  all = recommend(), excluding = recommend(seen), tiles = multiply_by(TILE), whole = multiply_by(ITEMS),
})
measure.report("recommend.users_s", speed.all, ">= 22000")
measure.report("recommend.exclude.users_s", speed.excluding, ">= 22000")
measure.report("recommend.sgemm.users_s", speed.tiles)
measure.report("recommend.sgemm.whole.users_s", speed.whole)
measure.report("recommend.ratio", measure.ratio(speed.all, speed.tiles), ">= 0.8")
measure.report("recommend.exclude.ratio", measure.ratio(speed.excluding, speed.tiles), ">= 0.8")

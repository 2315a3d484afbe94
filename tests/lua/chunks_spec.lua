-- runs under: thread, valgrind
local lk = require "lkrun"
local WorkChunks = lk.WorkChunks

local function fields(chunks) return { chunks.total, chunks.chunk_size, chunks.chunk_count } end

local function tasks(chunks)
  local list = {}
  for task in chunks:tasks() do list[#list + 1] = task end
  return list
end

-- Every job from 1 to total is in exactly one chunk, in order.
local function assert_covers(chunks)
  local next_job = 1
  for _, task in ipairs(tasks(chunks)) do
    assert.equal(next_job, task[1])
    assert.is_true(task[2] >= task[1] and task[2] - task[1] < chunks.chunk_size)
    assert.is_nil(task[3])
    next_job = task[2] + 1
  end
  assert.equal(chunks.total, next_job - 1)
end

describe("WorkChunks.create", function()
  it("gives one chunk under 100 jobs", function()
    assert.same({ 0, 0, 1 }, fields(WorkChunks.create(0)))
    assert.same({ 1, 1, 1 }, fields(WorkChunks.create(1)))
    assert.same({ 99, 99, 1 }, fields(WorkChunks.create(99)))
  end)

  it("holds the size within 100 and 4000", function()
    assert.same({ 100, 100, 1 }, fields(WorkChunks.create(100)))
    assert.same({ 101, 100, 2 }, fields(WorkChunks.create(101)))
    assert.same({ 100999, 100, 1010 }, fields(WorkChunks.create(100999)))
    assert.same({ 101000, 101, 1000 }, fields(WorkChunks.create(101000)))
    assert.same({ 4000000, 4000, 1000 }, fields(WorkChunks.create(4000000)))
    assert.same({ 4000001, 4000, 1001 }, fields(WorkChunks.create(4000001)))
    assert.same({ 100000000, 4000, 25000 }, fields(WorkChunks.create(1e8)))
    local most = WorkChunks.create(math.maxinteger)
    assert.equal(math.maxinteger // 4000 + 1, most.chunk_count)
    assert.equal(math.maxinteger, most[#most][2])
  end)

  it("covers every job once", function()
    for _, njobs in ipairs { 0, 1, 99, 100, 101, 199, 200, 201, 12345, 123457 } do
      assert_covers(WorkChunks.create(njobs))
    end
  end)

  it("gives no task for no jobs", function()
    local none = WorkChunks.create(0)
    assert.equal(0, #none)
    assert.same({}, tasks(none))
    assert.is_nil(none[1])
  end)
end)

describe("WorkChunks", function()
  it("are ranges by index and by iteration", function()
    local chunks = WorkChunks(10, 4, 3)
    assert.equal(3, #chunks)
    assert.same({ { 1, 4 }, { 5, 8 }, { 9, 10 } }, tasks(chunks))
    assert.same({ 9, 10 }, chunks[3])
    assert.is_nil(chunks[0])
    assert.is_nil(chunks[4])
    assert.is_nil(chunks.nothing)
    assert_covers(WorkChunks(10, 5, 2))
    assert_covers(WorkChunks(10, 100, 1))
  end)

  it("that hold no job are not given", function()
    assert.same({ { 1, 4 }, { 5, 8 } }, tasks(WorkChunks(8, 4, 5)))
  end)

  it("reach the largest integers", function()
    local chunks = WorkChunks(math.maxinteger, math.maxinteger, 1)
    assert.same({ 1, math.maxinteger }, chunks[1])
    assert.is_nil(chunks[2])
    chunks = WorkChunks(math.maxinteger, math.maxinteger - 1, 2)
    assert.same({ math.maxinteger, math.maxinteger }, chunks[2])
    assert.is_nil(chunks[math.maxinteger])
  end)

  it("compare and print by their fields", function()
    assert.equal(WorkChunks(10, 4, 3), WorkChunks(10, 4.0, 3))
    assert.is_false(WorkChunks(10, 4, 3) == WorkChunks(10, 4, 4))
    assert.equal("WorkChunks(total=10, chunk_size=4, chunk_count=3)", tostring(WorkChunks(10, 4, 3)))
  end)

  it("refuse what is not a number of jobs", function()
    local function refused(text, ...)
      local done, message = pcall(...)
      assert.is_false(done)
      assert.equal(text, message)
    end
    refused("lkrun: lk.WorkChunks.create: njobs is 1.5; expected an integer", WorkChunks.create, 1.5)
    refused("lkrun: lk.WorkChunks.create: njobs is nil; expected an integer", WorkChunks.create)
    refused("lkrun: lk.WorkChunks.create: njobs is '3'; expected an integer", WorkChunks.create, "3")
    refused("lkrun: lk.WorkChunks.create: njobs is -1; expected 0 or more", WorkChunks.create, -1)
    refused("lkrun: lk.WorkChunks: chunk_size is -4; expected 0 or more", WorkChunks, 1, -4, 1)
    refused("lkrun: lk.WorkChunks: chunk_count is a table; expected an integer", WorkChunks, 1, 1, {})
    refused("lkrun: lk.WorkChunks: 2 chunks of 4 jobs hold fewer than 10 jobs; "
      .. "expected chunk_count * chunk_size to reach total", WorkChunks, 10, 4, 2)
    refused("lkrun: lk.WorkChunks: 2 chunks of 0 jobs hold fewer than 10 jobs; "
      .. "expected chunk_count * chunk_size to reach total", WorkChunks, 10, 0, 2)
  end)

  it("do not change", function()
    local chunks = WorkChunks(10, 4, 3)
    assert.has_error(function() chunks[1] = {} end)
    assert.has_error(function() chunks.other = 1 end)
    assert.equal("lkrun.WorkChunks", getmetatable(chunks).__name)
  end)
end)

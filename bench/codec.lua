-- Measures what it costs to turn values into bytes and back: lkrun bench/codec.lua
-- Times are CPU times, the median of seven runs; memcpy copies as many bytes in the same run.
local lk = require "lkrun"
local codec = require "lkrun.core.codec"

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

-- Returns the nanoseconds to encode and to decode these values.
local function time(repeats, ...)
  local encoded, decoded = {}, {}
  for i = 1, 7 do
    collectgarbage()
    encoded[i], decoded[i] = codec.time(repeats, ...)
  end
  return median(encoded), median(decoded)
end

local function line(name, unit, encoded, decoded)
  print(("codec.%-14s encode=%-10.4g decode=%-10.4g %s"):format(name, encoded, decoded, unit))
end

local function each(name, repeats, value)
  line(name, "ns", time(repeats, value))
end

local function rate(name, repeats, value)
  local bytes = #codec.encode(value)
  local encoded, decoded = time(repeats, value)
  line(name, ("MB/s of %.2f MB"):format(bytes / 1e6), bytes / encoded * 1e3, bytes / decoded * 1e3)
end

each("integer", 200000, 5)
each("float", 200000, 0.5)
each("string", 200000, "hello")
each("chunk", 50000, { 1, 100 })
each("record", 50000, { id = 1, name = "hello", score = 0.5 })

local floats, records = {}, {}
for i = 1, 200000 do floats[i] = i * 0.5 end
for i = 1, 50000 do records[i] = { id = i, name = "x" .. i } end
rate("floats", 3, floats)
rate("records", 1, records)
rate("text", 5, ("x"):rep(16 << 20))
local tensor = lk.tensor.arange(1, 2 << 20)
rate("tensor", 5, tensor)
rate("tensor.strided", 2, lk.tensor.zeros { 2048, 1024 }:t())

local bytes, start, copies = 8 * (2 << 20), os.clock(), 5
local target = lk.tensor.zeros { 2 << 20 }
for _ = 1, copies do target:copy(tensor) end
print(("memcpy                %.4g MB/s"):format(copies * bytes / (os.clock() - start) / 1e6))

-- The text of floating-point numbers in JSON and CSV, against every count of digits tried in turn.
local lk = require "lkrun"

-- A number's significant digits, as an integer, and the power of ten it is to be multiplied with.
local function decimal_of(text)
  local whole, fraction, exponent = text:match "^%-?(%d+)%.?(%d*)e?([-+]?%d*)$"
  exponent = (tonumber(exponent) or 0) - #fraction
  local digits, zeros = (whole .. fraction):match "^0*(%d-)(0*)$"
  return digits == "" and "0" or digits, exponent + #zeros
end

local formats = {}
for digits = 1, 17 do formats[digits] = ("%%.%de"):format(digits - 1) end

-- The decimal with the fewest digits that reads_back accepts. Where the nearest decimal of so many digits does
-- not read back, the next one above may, if the number is a power of two: the interval of decimals that are
-- read as it reaches farther above it than below.
local function shortest(number, reads_back)
  number = math.abs(number)
  local is_power = ("%a"):format(number):find "^0x1p"
  for digits = 1, 17 do
    local nearest = formats[digits]:format(number)
    if reads_back(nearest, number) then return nearest end
    if is_power then
      local mantissa, exponent = nearest:match "^([%d.]+)e(.*)$"
      local next = ("%de%d"):format(tonumber(mantissa:gsub("%.", ""), 10) + 1, exponent - digits + 1)
      if reads_back(next, number) then return next end
    end
  end
end

local function reads_back(text, number) return tonumber(text) == number end
local function reads_back_single(text, number) return string.unpack("f", string.pack("f", tonumber(text))) == number end

-- Whether each of these numbers is written as it should be.
local function check(numbers, texts, reads)
  assert.equal(#numbers, #texts)
  for i, number in ipairs(numbers) do
    local expected = shortest(number, reads)
    local digits, exponent = decimal_of(expected)
    local found, power = decimal_of(texts[i])
    if digits ~= found or exponent ~= power or not reads(texts[i], number) then
      error(("%a is written %s; expected the digits of %s"):format(number, texts[i], expected))
    end
  end
end

local function json_texts(value)
  local texts = {}
  for text in lk.json.encode(value):gmatch "[^%[%],]+" do texts[#texts + 1] = text end
  return texts
end

local function from_bits(format, width, bits)
  return (string.unpack(format, string.pack("I" .. width, bits)))
end

local function is_finite(number) return number - number == 0 end

-- `count` finite numbers of random bits, of which only those of `mask` are set.
local function random_numbers(count, format, width, mask)
  local numbers = {}
  math.randomseed(44)
  while #numbers < count do
    local number = from_bits(format, width, math.random(0) & mask)
    if is_finite(number) then numbers[#numbers + 1] = number end
  end
  return numbers
end

describe("the shortest text", function()
  it("of numbers that two writers had too long, or not the closest", function()
    for _, case in ipairs { { 5e-324, "5e-324" }, { 2.0 ^ -44, "5.684341886080802e-14" },
      { 2.2250738585072014e-308, "2.2250738585072014e-308" }, { 2.0 ^ 53, "9007199254740992.0" },
      { 1e15, "1e+15" }, { 1e23, "1e+23" }, { 1e5, "100000.0" }, { -0.1, "-0.1" }, { 1e-5, "1e-05" } } do
      assert.equal(case[2], lk.json.encode(case[1]))
    end
    assert.equal("[1e-45,0.1,16777216.0,-0.0]", lk.json.encode(lk.tensor.from({ 1e-45, 0.1, 2.0 ^ 24, -0.0 }, "f32")))
  end)

  it("of 100,000 numbers of random bits", function()
    local numbers = random_numbers(100000, "d", 8, -1)
    check(numbers, json_texts(numbers), reads_back)
  end)

  it("of subnormal numbers", function()
    local numbers = random_numbers(10000, "d", 8, 0x800FFFFFFFFFFFFF)
    for bits = 1, 200 do numbers[#numbers + 1] = from_bits("d", 8, bits) end
    check(numbers, json_texts(numbers), reads_back)
  end)

  it("of powers of two and their neighbours", function()
    local numbers = {}
    for exponent = -1074, 1023 do
      local bits = string.unpack("I8", string.pack("d", 2.0 ^ exponent))
      for shift = -1, 1 do
        if bits + shift > 0 then numbers[#numbers + 1] = from_bits("d", 8, bits + shift) end
      end
    end
    check(numbers, json_texts(numbers), reads_back)
  end)

  it("of f32, as such", function()
    local numbers = random_numbers(30000, "f", 4, 0xFFFFFFFF)
    for _, number in ipairs(random_numbers(10000, "f", 4, 0x807FFFFF)) do numbers[#numbers + 1] = number end
    for exponent = -149, 127 do numbers[#numbers + 1] = 2.0 ^ exponent end
    check(numbers, json_texts(lk.tensor.from(numbers, "f32")), reads_back_single)
  end)

  it("is the same in CSV", function()
    local encode = require("lkrun.core.rows").encoder(",", { "a" })
    local numbers = random_numbers(10000, "d", 8, -1)
    numbers[#numbers + 1] = 5e-324
    numbers[#numbers + 1] = 2.0 ^ -44
    for _, number in ipairs(numbers) do
      local json = lk.json.encode(number)
      assert.equal(math.tointeger(number) and json:gsub("%.0$", "") or json, encode({ number }):sub(1, -2))
    end
    assert.equal("inf\n", (encode { math.huge }))
    assert.equal("-inf\n", (encode { -math.huge }))
  end)

  it("has a point in every locale", function()
    local before = os.setlocale(nil, "numeric")
    for _, name in ipairs { "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR" } do
      if os.setlocale(name, "numeric") then break end
    end
    local json, csv = lk.json.encode(1.5), require("lkrun.core.rows").encoder(",", { "a" }) { 0.25 }
    os.setlocale(before, "numeric")
    assert.equal("1.5", json)
    assert.equal("0.25\n", csv)
  end)
end)

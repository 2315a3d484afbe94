local digest = require "lkrun.core.digest"

describe("digests", function()
  it("are XXH64, as its reference implementation has it", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    local digits = ("0123456789"):rep(3)
    assert.equal("ef46db3751d8e999", digest.bytes "")
    assert.equal("d24ec4f1a98c6e5b", digest.bytes "a")
    assert.equal("44bc2cf5ad770999", digest.bytes "abc")
    assert.equal("13fa48a9f0832ee2", digest.bytes(digits))
    assert.equal("e5cc9f411ea110ba", digest.bytes(digits .. "01"))
    assert.equal("238757b0633cadab", digest.bytes(table.concat(bytes):rep(300)))
  end)

  it("of files are those of their bytes, however long", function()
    local path = os.tmpname()
    for _, length in ipairs { 0, 1, 31, 32, 33, (256 << 10) - 1, 256 << 10, (512 << 10) + 17 } do
      local text = ("lkrun"):rep(length // 5 + 1):sub(1, length)
      do
        local file <close> = assert(io.open(path, "wb"))
        file:write(text)
      end
      assert.equal(digest.bytes(text), digest.file(path))
    end
    os.remove(path)
    local value, why = digest.file(path)
    assert.is_nil(value)
    assert.equal("No such file or directory", why)
  end)
end)

local lk = require "lkrun"

describe("the clock", function()
  it("never goes back", function()
    local last = lk.clock()
    for _ = 1, 1000 do
      local now = lk.clock()
      assert.is_true(now >= last)
      last = now
    end
  end)

  it("is the kernel's monotonic one, in seconds", function()
    local function boottime()
      local file <close> = assert(io.open("/proc/uptime"))
      return file:read "n"
    end
    -- Unlike lk.clock, the uptime counts suspended time too, but the machine is not suspended between the readings.
    local clock, uptime = lk.clock(), boottime()
    repeat until boottime() >= uptime + 0.1
    local elapsed = lk.clock() - clock
    assert.is_true(elapsed >= 0.05, elapsed)
  end)
end)

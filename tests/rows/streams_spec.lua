-- Files of rows, and lkrun map over them, take no more memory for more rows.
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

local ROWS <const>, ROW_BYTES <const> = 60000, 256 -- 15 MiB
local MOST <const> = 6 -- MiB more, whatever the file's size

-- The most memory that a process had so far, in MiB.
local PEAK <const> = [[
  local function peak()
    local file <close> = assert(io.open "/proc/self/status")
    return tonumber(file:read "a":match "VmHWM:%s+(%d+)") / 1024
  end
]]

describe("rows of a file", function()
  if (os.getenv "LKRUN_SAN" or "") ~= "" then
    pending "stream in constant memory (a sanitizer keeps what was freed)"
    return
  end

  local folder
  before_each(function() folder = new_folder() end)
  after_each(function() folder:remove() end)

  for _, format in ipairs { "csv", "tsv", "jsonl", "txt", "npy" } do
    it("stream in constant memory, as " .. format, function()
      local path = folder:path("rows." .. format)
      local out = program.output(PEAK .. [[
        local lk = require "lkrun"
        local path, rows, bytes = arg[1], tonumber(arg[2]), tonumber(arg[3])
        local format = path:match "[^.]+$"
        local text = ("x"):rep(bytes)
        local row_of = {
          txt = function() return text end,
          npy = function() return lk.tensor.zeros { bytes // 8 } end,
        }
        local make = row_of[format] or function(i) return { i, text } end
        local columns = { csv = { "i", "text" }, tsv = { "i", "text" } }
        local function write(count)
          local i = 0
          lk.rows.write(path, function()
            i = i + 1
            return i <= count and make(i) or nil
          end, { columns = columns[format] })
        end
        local function read()
          local count = 0
          for _ in lk.rows.read(path) do count = count + 1 end
          return count
        end
        write(100) read()
        local before = peak()
        write(rows)
        local written = peak()
        print(read(), written - before, peak() - written)
      ]], { args = { path, tostring(ROWS), tostring(ROW_BYTES) } })
      local count, written, read = out:match "^(%d+)\t(%S+)\t(%S+)\n$"
      assert.equal(ROWS, tonumber(count), out)
      assert.is_true(#folder:read("rows." .. format) > ROWS * ROW_BYTES)
      assert.is_true(tonumber(written) < MOST, out)
      assert.is_true(tonumber(read) < MOST, out)
    end)
  end

  -- In place, where the tasks see the host's memory: with workers, results that come early are kept for
  -- a while, up to a bound that these files do not reach.
  for _, more in ipairs { "", " --resume" } do
    it("go through lkrun map in constant memory" .. more, function()
      folder:write("op.lua", PEAK .. ([[
        return function(_, task)
          local is_asked = task.i == "1000" or task.i == "%d"
          return { task.i, is_asked and peak() or task.text }
        end
      ]]):format(ROWS))
      folder:write("make.lua", ([[
        local i, text = 0, ("x"):rep(%d)
        require("lkrun").rows.write("tasks.csv", function()
          i = i + 1
          return i <= %d and { i, text } or nil
        end, { columns = { "i", "text" } })
      ]]):format(ROW_BYTES, ROWS))
      assert.equal(0, folder:lkrun("make.lua").status)
      local result = folder:lkrun("map op.lua --tasks tasks.csv --output out.jsonl --jobs 1" .. more)
      assert.equal(0, result.status, result.err)
      local out = folder:read "out.jsonl"
      local first, last = out:match '%["1000",([%d.]+)%]', out:match(('%%["%d",([%%d.]+)%%]\n$'):format(ROWS))
      assert.is_true(last - first < MOST, ("%s MiB grew to %s"):format(first, last))
    end)
  end
end)

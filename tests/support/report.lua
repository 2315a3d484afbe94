-- An output handler for busted: each failure in full, a line for each skipped test, and the totals as last line.
return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()

  local function tell(kind, entries)
    for _, entry in ipairs(entries) do
      local trace = entry.trace or {}
      local message = entry.message and tostring(entry.message) or ""
      io.write(("%s %s:%s: %s\n"):format(kind, trace.short_src or entry.name, trace.currentline or 0, entry.name))
      if message ~= "" then io.write("  ", (message:gsub("\n", "\n  ")), "\n") end
      if kind == "error" and trace.traceback then
        io.write("  ", (trace.traceback:gsub("\n", "\n  ")), "\n")
      end
    end
  end

  function handler.suiteEnd()
    tell("failed", handler.failures)
    tell("error", handler.errors)
    tell("skipped", handler.pendings)
    io.write(("%d passed, %d failed, %d skipped\n"):format(
      handler.successesCount, handler.failuresCount + handler.errorsCount, handler.pendingsCount))
    io.flush()
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end

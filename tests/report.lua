-- busted's output handler: each failure in full, each skip in a line, and the totals as last line.
return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()

  local function tell(kind, entries)
    for _, entry in ipairs(entries) do
      local where = entry.trace and entry.trace.short_src .. ":" .. entry.trace.currentline or "?"
      local message = entry.message
      if type(message) ~= "string" then message = message and tostring(message) or "" end
      io.write(kind, " ", where, ": ", entry.name or "", "\n")
      if message ~= "" then io.write("  ", (message:gsub("\n", "\n  ")), "\n") end
      if kind == "error" and entry.trace and entry.trace.traceback then
        io.write("  ", (entry.trace.traceback:gsub("\n", "\n  ")), "\n")
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

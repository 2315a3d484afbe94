-- The Python that has NumPy and others: LKRUN_PYTHON, or the one that `make check` makes.
local python = { path = os.getenv "LKRUN_PYTHON" or "build/venv/bin/python" }

--- Whether it can import these modules: "numpy, scipy".
function python.has(modules)
  return os.execute(("'%s' -c 'import %s' 2>/dev/null"):format(python.path, modules)) == true
end

--- Runs a program with these arguments, which the shell reads, and gives what it printed. Fails with that
--- where the program does.
function python.run(program, ...)
  local command = { ("'%s' %s"):format(python.path, program), ... }
  local pipe <close> = io.popen(table.concat(command, " ") .. " 2>&1")
  local output = pipe:read "a"
  assert(pipe:close(), output)
  return output
end

return python

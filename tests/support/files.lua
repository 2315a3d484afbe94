-- Files by their paths; those in a folder of a test's own are read by that folder.
local files = {}

--- The bytes of a file; nil where it cannot be opened.
function files.read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

--- The bytes of a file that must be there.
function files.contents(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- Whether there is such a file or folder.
function files.exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

return files

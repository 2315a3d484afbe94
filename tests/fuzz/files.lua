-- What the programs for files of models share.
local files = {}

-- In memory if possible, because saving waits for the disk.
local folder = os.execute "test -w /dev/shm" and "/dev/shm" or "/tmp"
local name = os.tmpname()
os.remove(name)
local scratch = folder .. "/lkrun-fuzz-" .. name:match "[^/]+$"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- A refusal names the file; whatever else is raised is a finding.
function files.check(path, ok, message)
  if not ok and (type(message) ~= "string" or message:find("lkrun: lk.load: " .. path .. ": ", 1, true) ~= 1) then
    error("not a refusal: " .. tostring(message), 0)
  end
  return ok
end

--- What was read can be written, read again and written to the same bytes.
function files.round_trip(model, save, load)
  save(scratch, model)
  local first = read(scratch)
  save(scratch, load(scratch))
  if read(scratch) ~= first then error("saved again it has other bytes", 0) end
  os.remove(scratch)
end

return files

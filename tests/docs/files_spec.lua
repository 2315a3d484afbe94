-- Pages name files of the repository: such a file must exist.

local function contents(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

-- Paths begin at the top of the repository, or, for the core, in lkrun/. Those that begin with another folder belong
-- to the reader or to an installation; those with capitals are patterns such as bench/NAME.lua.
local function is_of_the_repository(name)
  local folder = name:match "^[^/]+"
  return folder ~= nil and folder ~= "build" and (exists(folder) or exists("lkrun/" .. folder))
end

describe("The pages", function()
  it("name files of the repository that exist", function()
    local checked = 0
    local pages <close> = io.popen "ls -d *.md docs/*.md lkrun/*.md 2>/dev/null"
    for page in pages:lines() do
      for name in contents(page):gmatch "`([%l%d_.-][%l%d_./-]*/[%l%d_-]+%.%l+)`" do
        if is_of_the_repository(name) then
          assert.truthy(exists(name) or exists("lkrun/" .. name), ("%s names %s"):format(page, name))
          checked = checked + 1
        end
      end
    end
    assert.is_true(checked > 50)
  end)
end)

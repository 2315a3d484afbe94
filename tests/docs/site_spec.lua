-- `make docs`: the site and the man pages.
local program = require "tests.support.program"
local contents = require("tests.support.files").contents

local function list(command)
  local lines = {}
  local pipe <close> = io.popen(command)
  for line in pipe:lines() do lines[#lines + 1] = line end
  return lines
end

describe("make docs", function()
  if not program.capture "command -v lowdown" then return pending("builds the site (no lowdown)") end
  local folder

  setup(function()
    folder = program.capture "mktemp -d"
    local result = program.shell("$LKRUN docs/site/build.lua " .. folder)
    assert(result.status == 0, result.err)
  end)
  teardown(function() os.execute("rm -r " .. folder) end)

  it("makes a page of every page of the manual, and links that lead somewhere", function()
    local pages = list("ls " .. folder .. "/html/*.html")
    assert.is_true(#pages >= #list "ls docs/*.md")
    for _, page in ipairs(pages) do
      local html = contents(page)
      assert.matches("<title>%S.* %- lkrun</title>", html)
      for target in html:gmatch 'href="([^"#:]+)[^":]*"' do
        local file <close> = io.open(folder .. "/html/" .. target)
        assert.truthy(file, ("%s leads to %s"):format(page, target))
      end
      for target in html:gmatch 'src="([^":]+)"' do
        local file <close> = io.open(folder .. "/html/" .. target)
        assert.truthy(file, ("%s shows %s"):format(page, target))
      end
    end
  end)

  it("makes a reference of the annotations", function()
    local html = contents(folder .. "/html/reference.html")
    for _, text in ipairs { "Invoker:map(tasks, ...)", "lkrun.Options", "memory_limit", "als" } do
      assert.matches(text, html, 1, true)
    end
  end)

  it("makes man pages that man reads without complaint", function()
    local names = {}
    for _, path in ipairs(list("find " .. folder .. "/man -type f | LC_ALL=C sort")) do
      names[#names + 1] = path:match "[^/]+$"
      local roff = contents(path)
      assert.matches("\n%.SH%sNAME\n.-lkrun.- \\?%- ", roff, names[#names])
      local result = program.shell(("man --warnings -E UTF-8 -l -Tutf8 -Z %s >/dev/null"):format(path))
      if result.status ~= 127 then assert.equal("", result.err, path) end
    end
    assert.same({ "lkrun-doctor.1", "lkrun-map.1", "lkrun-trace.1", "lkrun.1", "lkrun.3", "lkrun-pool.7" }, names)
  end)

  it("shows the diagram of the pool as a picture on the site, as text in the man page", function()
    assert.matches('<img src="pool.svg" alt="The pool: ', contents(folder .. "/html/pool.html"), 1, true)
    local roff = contents(folder .. "/man/man7/lkrun-pool.7")
    assert.matches("| generator of tasks   |   memory", roff, 1, true)
    assert.is_nil(roff:find("svg", 1, true))
  end)
end)

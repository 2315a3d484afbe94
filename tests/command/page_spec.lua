-- What the manual's page on lkrun map has a reader type: every `sh` block in order, in one folder; the
-- `text` after it is what it prints.
local program = require "tests.program"

describe("the manual's page on lkrun map", function()
  it("is true", function()
    local file <close> = assert(io.open "docs/map.md")
    local page = file:read "a"
    local folder = program.capture "mktemp -d"
    os.execute(("ln -s '%s' %s/lkrun"):format(program.executable, folder))
    local blocks = 0
    for kind, text, after in page:gmatch "\n```(%l+)\n(.-)\n```\n()" do
      if kind == "sh" then
        local before = ("set -e; cd %s; export PATH=$PWD:$PATH LK_PROGRESS=none\n"):format(folder)
        local result = program.shell(before .. text)
        assert.equal("", result.err)
        assert.equal(0, result.status)
        local expected = page:match("^\n?```text\n(.-)```\n", after)
        if expected then
          assert.equal(expected, result.out)
          blocks = blocks + 1
        end
      end
    end
    assert.equal(2, blocks)
    os.execute("rm -rf " .. folder)
  end)
end)

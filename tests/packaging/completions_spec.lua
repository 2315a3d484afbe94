local program = require "tests.program"
local shell = program.shell

describe("completion in", function()
  local folder

  setup(function()
    folder = program.capture "mktemp -d"
    for _, name in ipairs { "bash", "zsh", "fish" } do
      local result = shell(("$LKRUN packaging/completions.lua %s > %s/%s"):format(name, folder, name))
      assert.equal(0, result.status, result.err)
    end
    os.execute(("cd %s && touch job.lua 'two words.lua' data.csv && mkdir deep"):format(folder))
  end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  -- What bash proposes for the last of these words, sorted, a line each.
  local function proposed(...)
    local words = {}
    for i, word in ipairs { "lkrun", ... } do words[i] = program.quote(word) end
    local result = shell(("cd %s && . ./bash && COMP_WORDS=(%s) && COMP_CWORD=%d && _lkrun\n%s"):format(folder,
      table.concat(words, " "), #words - 1, 'printf "%s\\n" "${COMPREPLY[@]}" | LC_ALL=C sort'))
    assert.equal("", result.err)
    return result.out
  end

  it("bash proposes commands, scripts and folders first", function()
    assert.equal("check\ndeep\ndoctor\njob.lua\nmap\nmerge\ntrace\ntwo words.lua\n", proposed "")
    assert.equal("map\nmerge\n", proposed "m")
    assert.equal("job.lua\n", proposed "j")
    assert.equal("--help\n--version\n", proposed "--")
  end)

  it("bash proposes the options of a command, and no hidden one", function()
    assert.equal("--memory-limit\n--model\n", proposed("map", "op.lua", "--m"))
    assert.equal("--resume\n--retries\n", proposed("map", "--re"))
    assert.truthy(proposed("doctor", "--"):find("--json\n", 1, true))
    assert.equal("--longest\n", proposed("trace", "--lo"))
    assert.equal("--format\n", proposed("merge", "--f"))
    assert.equal("--help\n-h\n", proposed("check", "-"))
  end)

  it("bash proposes the choices of an option", function()
    assert.equal("raise\nskip\n", proposed("map", "--on-error", ""))
    assert.equal("skip\n", proposed("map", "op.lua", "--on-error", "s"))
  end)

  it("bash leaves to bash what names files, and the arguments of a script", function()
    assert.equal("\n", proposed("map", "--tasks", ""))
    assert.equal("\n", proposed("merge", "d"))
    assert.equal("\n", proposed("job.lua", "--m"))
    assert.equal("\n", proposed("job.lua", "map", "--m"))
  end)

  it("zsh and fish is a script that they can read", function()
    local tried = 0
    for _, name in ipairs { "zsh", "fish" } do
      if shell("command -v " .. name).status == 0 then
        local result = shell(("%s -n %s/%s"):format(name, folder, name))
        assert.equal(0, result.status, result.err)
        tried = tried + 1
      end
    end
    if tried == 0 then pending "neither zsh nor fish is installed" end
  end)

  it("a shell that there is none of is refused", function()
    local result = shell "$LKRUN packaging/completions.lua csh"
    assert.equal(1, result.status)
    assert.equal("lkrun: completions: 'csh' is no bash, zsh or fish\n", result.err)
  end)
end)

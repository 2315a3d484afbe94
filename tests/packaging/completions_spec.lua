local program = require "tests.support.program"
local terminal = require "tests.support.terminal"
local shell = program.shell

local function has(name) return shell("command -v " .. name).status == 0 end

describe("completion in", function()
  local folder

  setup(function()
    folder = program.capture "mktemp -d"
    for _, name in ipairs { "bash", "zsh", "fish" } do
      local result = shell(("$LKRUN packaging/completions.lua %s > %s/%s"):format(name, folder, name))
      assert.equal(0, result.status, result.err)
    end
    do
      local file <close> = assert(io.open(folder .. "/bashrc", "w"))
      file:write ". ./bash; PS1='ready> '\n"
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

  -- What fish proposes for a line, sorted, a line each, without descriptions.
  local function fish_proposed(line)
    local result = shell(("cd %s && HOME=$PWD XDG_CONFIG_HOME=$PWD XDG_DATA_HOME=$PWD fish -N -c %s"):format(folder,
      program.quote(("source fish; complete -C '%s' | cut -f 1 | LC_ALL=C sort"):format(line))))
    assert.equal("", result.err)
    return result.out
  end

  it("fish proposes commands, scripts, options and choices", function()
    if not has "fish" then
      pending "fish is not installed"
      return
    end
    local first = "\n" .. fish_proposed "lkrun "
    for _, word in ipairs { "check", "doctor", "map", "merge", "trace", "job.lua", "two words.lua" } do
      assert.matches("\n" .. word .. "\n", first, 1, true)
    end
    assert.equal("map\nmerge\n", fish_proposed "lkrun m")
    assert.equal("--help\n--version\n", fish_proposed "lkrun --")
    assert.equal("--memory-limit\n--model\n", fish_proposed "lkrun map op.lua --m")
    assert.equal("raise\nskip\n", fish_proposed "lkrun map --on-error ")
    assert.matches("data.csv\n", fish_proposed "lkrun map --tasks ", 1, true)
    assert.equal("", fish_proposed "lkrun job.lua --m")
    assert.equal("", fish_proposed "lkrun job.lua map --m")
  end)

  -- The shell on a terminal, which has read its script: Tab completes as it does for a person.
  local function completes_on_a_terminal(name, command)
    if not has(name) then
      pending(name .. " is not installed")
      return
    end
    local t <close> = terminal.run("", {
      command = ("cd %s && %s"):format(folder, command),
      env = { HOME = folder, XDG_CONFIG_HOME = folder, XDG_DATA_HOME = folder, ZDOTDIR = folder, TERM = "screen" },
    })
    t:expect(function(screen) return screen:find "ready>$" end)
    t:keys("-l", "lkrun doc")
    t:keys "Tab"
    t:expect(function(screen) return screen:find "ready> lkrun doctor$" end)
    t:keys("-l", "--", "--js")
    t:keys "Tab"
    t:expect(function(screen) return screen:find "ready> lkrun doctor %-%-json$" end)
    t:keys "C-u"
    t:keys("-l", "lkrun map --on-error sk")
    t:keys "Tab"
    t:expect(function(screen) return screen:find "ready> lkrun map %-%-on%-error skip$" end)
    t:keys "C-u"
    t:keys("-l", "lkrun jo")
    t:keys "Tab"
    t:expect(function(screen) return screen:find "ready> lkrun job.lua$" end)
  end

  it("fish completes on a terminal", function()
    completes_on_a_terminal("fish", [[fish -N -C 'source fish; set fish_greeting; set fish_autosuggestion_enabled 0
      function fish_prompt; echo -n "ready> "; end']])
  end)

  it("zsh completes on a terminal", function()
    do
      local file <close> = assert(io.open(folder .. "/.zshrc", "w"))
      file:write "fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D; PS1='ready> '\n"
    end
    os.execute(("mkdir %s/functions && cp %s/zsh %s/functions/_lkrun"):format(folder, folder, folder))
    completes_on_a_terminal("zsh", "zsh -d -i")
  end)

  it("bash completes on a terminal", function()
    completes_on_a_terminal("bash", [[bash --noprofile --rcfile "$PWD/bashrc" -i]])
  end)

  it("a shell that there is none of is refused", function()
    local result = shell "$LKRUN packaging/completions.lua csh"
    assert.equal(1, result.status)
    assert.equal("lkrun: completions: the shell is 'csh'; expected bash, zsh or fish\n", result.err)
  end)
end)

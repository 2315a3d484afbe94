local blocks = require "tests.docs.blocks"
local program = require "tests.support.program"
local shell = program.shell

-- The first program of the README and what it prints.
local function first_program()
  local list = blocks.of "README.md"
  for i, block in ipairs(list) do
    if block.kind == "lua" then return block.text, list[i + 1].text end
  end
end

describe("make install", function()
  local folder, printed, made

  setup(function()
    folder = program.capture "mktemp -d"
    made = program.make("install PREFIX=/opt/lkrun DESTDIR=" .. folder)
    assert.equal(0, made.status, made.err)
    local code
    code, printed = first_program()
    local file <close> = assert(io.open(folder .. "/first.lua", "w"))
    file:write(code)
  end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  it("puts everything below the prefix", function()
    assert.equal("first.lua\nopt\n", shell("ls " .. folder).out) -- first.lua is this test's
    local installed = folder .. "/opt/lkrun/"
    for _, name in ipairs { "bin/lkrun", "lib/lua/5.4/lkrun/core.so", "lib/lua/5.4/lkrun.so",
      "share/doc/lkrun/README.md", "share/doc/lkrun/LICENSE", "share/doc/lkrun/docs/tutorial.md",
      "share/doc/lkrun/examples/recommend.lua", "share/lkrun/gdb/lkrun.gdb", "share/lkrun/addons/lkrun/config.json",
      "share/lkrun/addons/lkrun/library/lkrun/init.lua",
      "share/bash-completion/completions/lkrun", "share/zsh/site-functions/_lkrun",
      "share/fish/vendor_completions.d/lkrun.fish" } do
      assert.equal(0, shell("test -s " .. installed .. name).status, name)
    end
  end)

  it("says what it puts where, a line each, and with V=1 the commands", function()
    local count = 0
    for line in made.out:gmatch "[^\n]+" do
      local path = line:match "^install (/%S+)$"
      if path then
        assert.equal(folder .. "/opt/lkrun/", path:sub(1, #folder + 11))
        assert.equal(0, shell("test -e " .. path).status, path)
        count = count + 1
      else
        assert.matches("^%S+ %S+$", line) -- a compiler and what it makes
      end
    end
    assert.is_true(count >= 6, made.out)
    local shown = program.make("install V=1 PREFIX=/verbose DESTDIR=" .. folder)
    os.execute("rm -rf " .. folder .. "/verbose")
    assert.equal(0, shown.status, shown.err)
    assert.matches("\ninstall %-D %-m 644 %S+/lib/lkrun/core.so ", shown.out)
    assert.falsy(shown.out:find "\ninstall /")
  end)

  it("gives an executable that needs nothing of the checkout", function()
    local result = shell("cd / && " .. folder .. "/opt/lkrun/bin/lkrun " .. folder .. "/first.lua")
    assert.equal("", result.err)
    assert.equal(printed, result.out)
  end)

  it("puts the manual where help says that it is", function()
    local result = shell("cd / && echo 'help()' | " .. folder .. "/opt/lkrun/bin/lkrun -i")
    assert.equal(folder .. "/opt/lkrun/share/doc/lkrun/docs/README.md", result.out:match "The manual: ([^\n]*)\n$")
  end)

  it("gives a module for a stock Lua", function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a stock Lua lacks the sanitizer's runtime" end
    local result = shell("cd / && LUA_CPATH='" .. folder .. "/opt/lkrun/lib/lua/5.4/?.so' lua5.4 " ..
      folder .. "/first.lua")
    assert.equal("", result.err)
    assert.equal(printed, result.out)
    result = shell("cd / && LUA_CPATH='" .. folder .. "/opt/lkrun/lib/lua/5.4/?.so' lua5.4 -e '" ..
      [[print(require "lkrec.als.implicit" == package.loaded["lkrec.als.implicit"],
        require "lkrun" == package.loaded.lkrun, require("lkrec.data") ~= nil)']])
    assert.equal("true\ttrue\ttrue\n", result.out, result.err)
  end)

  it("is not needed to run from another folder, or in a stock Lua", function()
    local result = shell("checkout=$PWD && cd / && $checkout/build/lkrun " .. folder .. "/first.lua")
    assert.equal(printed, result.out, result.err)
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return end
    result = shell("LUA_CPATH='build/lib/?.so;;' lua5.4 " .. folder .. "/first.lua")
    assert.equal(printed, result.out, result.err)
  end)
end)

describe("make", function()
  it("says in one line that it is not Linux, where it is not", function()
    local folder = program.capture "mktemp -d"
    finally(function() os.execute("rm -rf " .. folder) end)
    os.execute(("printf '#!/bin/sh\\necho Darwin\\n' >%s/uname && chmod +x %s/uname"):format(folder, folder))
    for _, target in ipairs { "", "check", "install" } do
      local result = shell(("PATH=%s:$PATH make --no-print-directory %s"):format(folder, target))
      assert.equal(2, result.status)
      assert.matches("^Makefile:%d+: %*%*%* lkrun runs on Linux alone: [^\n]*%.%s*Stop%.\n$", result.err)
      assert.equal("", result.out)
    end
  end)
end)

describe("installing packages", function()
  local folder

  setup(function()
    folder = program.capture "mktemp -d"
    shell("chmod 755 " .. folder .. "; for name in sh id dpkg-query tr; do ln -s $(command -v $name) " ..
      folder .. "; done")
  end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  -- With no sudo and no apt-get to be found; as another user where `user` says so.
  local function packages(names, user)
    return shell(("%s env -u NO_INSTALL PATH=%s sh lkrun/packages %s"):format(user or "", folder, names))
  end

  it("does nothing where all are there, or one of two that will do", function()
    for _, names in ipairs { "libc6 liblua5.4-dev", "'lkrun-nothing|libc6'", "'libc6|lkrun-nothing'" } do
      local result = packages(names)
      assert.equal("", result.out .. result.err)
      assert.equal(0, result.status)
    end
  end)

  it("says the one command to type where it can't", function()
    local result = packages "libc6 lkrun-nothing 'lkrun-this|lkrun-that'"
    assert.equal(2, result.status)
    assert.truthy(result.err:find("apt-get install -y --no-install-recommends lkrun-nothing lkrun-this\n", 1, true))
    assert.equal("", result.out)
  end)

  it("says it to those who are not root, too", function()
    local user = shell "id -u".out == "0\n" and "setpriv --reuid=65534 --regid=65534 --clear-groups" or ""
    os.execute(("cp lkrun/packages %s; chmod 644 %s/packages"):format(folder, folder))
    local result = shell(("cd %s && %s env -u NO_INSTALL PATH=%s sh packages lkrun-nothing"):format(folder, user,
      folder))
    assert.equal(2, result.status)
    assert.truthy(result.err:find("type: sudo apt-get install -y --no-install-recommends lkrun-nothing\n", 1, true))
  end)

  it("is not done under NO_INSTALL=1", function()
    local result = shell "NO_INSTALL=1 sh lkrun/packages libc6 lkrun-nothing"
    assert.equal(0, result.status)
    assert.truthy(result.err:find("lkrun-nothing", 1, true))
    assert.falsy(result.err:find("libc6", 1, true))
  end)
end)

-- Libraries that are loaded on first use, where they are not what they should be.
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

describe("a library that cannot be loaded", function()
  -- Runs `code` where the library of this name is a copy of the file `other`.
  local function with_library(name, other, code)
    local folder <close> = new_folder()
    assert(os.execute(("cp %s %s"):format(other, folder:path(name))))
    return program.run(code, { env = { LD_LIBRARY_PATH = folder.name } }).out
  end
  local load = "print(pcall(require 'lkrun.core.backend'.load))"

  it("is an error that says why, and which Debian package has it", function()
    local out = with_library("libopenblas.so.0", "/dev/null", load)
    assert.truthy(out:find("^false\tlkrun: backend: OpenBLAS could not be loaded %(.*libopenblas.so.0"), out)
    assert.truthy(out:find("install the Debian package libopenblas0", 1, true), out)
  end)

  it("may be one without the functions that are needed", function()
    local out = with_library("libopenblas.so.0", "$(ls /lib/*/libm.so.6)", load)
    assert.truthy(out:find("libopenblas.so.0 has no cblas_dgemv", 1, true), out)
  end)

  it("may be hwloc", function()
    local topology = "print(pcall(require 'lkrun.core.cpu'.topology))"
    local out = with_library("libhwloc.so.15", "/dev/null", topology)
    assert.truthy(out:find("^false\tlkrun: hwloc: the library could not be loaded %(.*libhwloc.so.15"), out)
    assert.truthy(out:find("install the Debian package libhwloc15", 1, true), out)
    out = with_library("libhwloc.so.15", "$(ls /lib/*/libm.so.6)", topology)
    assert.truthy(out:find("undefined symbol: hwloc_topology_init", 1, true), out)
  end)

  it("may be libarchive", function()
    local save = "print(pcall(require 'lkrun'.save, '/tmp/model.lkz', {}))"
    local out = with_library("libarchive.so.13", "/dev/null", save)
    assert.matches("^false\tlkrun: lk.save: /tmp/model.lkz: archives need a library that could not be loaded "
      .. "%(.*libarchive.so.13.*%); install the Debian package libarchive13\n$", out)
    out = with_library("libarchive.so.13", "$(ls /lib/*/libm.so.6)", save)
    assert.matches("undefined symbol: archive_read_new", out)
  end)
end)

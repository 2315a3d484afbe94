-- The recipe for conda, by the rules of conda-forge's linter.
local program = require "tests.support.program"
local contents = require("tests.support.files").read

local PYTHON <const> = "build/venv-snakemake/bin/python"


-- What the linter says of this text, in the recipe's place of a tree like ours.
local function lint(text)
  local folder = program.capture "mktemp -d"
  os.execute(("mkdir -p %s/packaging/conda && cp LICENSE %s"):format(folder, folder))
  local path = folder .. "/packaging/conda/meta.yaml"
  local file <close> = assert(io.open(path, "w"))
  file:write(text):close()
  local result = program.shell(("%s -B tests/packaging/conda.py %s"):format(PYTHON, path))
  os.execute("rm -r " .. folder)
  assert.equal("", result.err)
  assert.equal(result.out == "" and 0 or 1, result.status)
  return result.out
end

describe("The recipe for conda", function()
  if not contents(PYTHON:gsub("bin/python", "installed")) then
    return pending "pleases conda-forge's linter (no PyYAML in build/venv-snakemake)"
  end
  local recipe = contents "packaging/conda/meta.yaml"

  it("pleases conda-forge's linter", function() assert.equal("", lint(recipe)) end)

  it("would not with mistakes in it", function()
    local function broken(pattern, by)
      local text, count = recipe:gsub(pattern, by)
      assert.equal(1, count, pattern)
      return lint(text)
    end
    assert.matches("belong together", broken("    %- {{ stdlib%(\"c\"%) }}\n", ""))
    assert.matches("has no number", broken("  number: 0\n", ""))
    assert.matches("two spaces", broken("true  # %[not linux%]", "true # [not linux]"))
    assert.matches("license_file COPYING", broken("license_file: LICENSE", "license_file: COPYING"))
    assert.matches("unknown key: licence", broken("  license: MIT", "  license: MIT\n  licence: MIT"))
  end)
end)

-- `make plugins`: what would go to PyPI, built and checked.
local lk = require "lkrun"
local program = require "tests.support.program"
local exists = require("tests.support.files").exists

describe("make plugins", function()
  if not exists "build/venv-packaging/installed" then return pending "packs each (no build/venv-packaging)" end

  it("packs each as a wheel and as its source, and twine finds nothing to say about them", function()
    local folder = program.capture "mktemp -d"
    finally(function() os.execute("rm -rf " .. folder) end)
    local result = program.make("plugins --old-file=build/venv-packaging/installed B=" .. folder)
    assert.equal(0, result.status, result.out .. result.err)
    local packed = 0
    local pipe <close> = io.popen "ls -d plugins/*/pyproject.toml"
    for path in pipe:lines() do
      local name = path:match "^plugins/(.*)/"
      local dist = ("%s/plugins/%s/dist/%s-%s"):format(folder, name, name:gsub("-", "_"), lk.VERSION)
      for _, file in ipairs { dist .. "-py3-none-any.whl", dist .. ".tar.gz" } do
        assert.is_true(exists(file), file)
      end
      -- The page on PyPI is the README alone: links into the repository lead nowhere there.
      local description = program.shell("unzip -p " .. dist .. "-py3-none-any.whl '*/METADATA'").out
      if description ~= "" then assert.is_nil(description:find "%]%([^h]") end
      packed = packed + 1
    end
    assert.is_true(packed > 0)
    assert.equal(2 * packed, select(2, result.out:gsub("PASSED", "")))
  end)
end)

-- The logger plugin honours each of Snakemake's output settings: it prints what Snakemake's own display prints,
-- to the same stream.
local workflow = require "tests.snakemake.workflow"

local SNAKEFILE <const> = [[
rule work:
    output: "out.txt"
    log: "work.log"
    shell: "echo the last words >{log}; test ! -e fail; touch {output}"
]]

-- The distinct lines, without what differs from run to run: times, names of logs, counts within a second.
local function normal(text)
  local lines, seen = {}, {}
  for line in text:gmatch "[^\n]+" do
    local differs = line:find "^%[" or line:find "Complete log" or line:find "Elapsed" or line:find "^Resources "
      or line:find "^  %a+ ?%a*: " and not line:find "^  Host"
    if not differs and not seen[line] then
      seen[line] = true
      lines[#lines + 1] = line
    end
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

-- What Snakemake prints with the plugin, which is what it prints without.
local function printed(options, status, files)
  local results = {}
  for i, logger in ipairs { "", "--logger lkrun" } do
    local folder <close> = setmetatable(workflow.new { Snakefile = SNAKEFILE }, {
      __close = workflow.remove, __index = workflow,
    })
    for _, name in ipairs(files or {}) do folder:write(name, "") end
    local result = folder:shell(("PYTHONHASHSEED=0 snakemake --cores 1 %s %s"):format(options, logger))
    assert.equal(status or 0, result.status, result.out .. result.err)
    local here = folder.folder:gsub("%p", "%%%0")
    for _, stream in ipairs { "out", "err" } do
      result[stream .. "_normal"] = normal((result[stream]:gsub(here, "HERE")))
    end
    results[i] = result
  end
  assert.equal(results[1].out_normal, results[2].out_normal)
  assert.equal(results[1].err_normal, results[2].err_normal)
  return results[2].out, results[2].err
end

describe("snakemake-logger-plugin-lkrun", function()
  local reason = workflow.missing()
  if reason then return pending("honours Snakemake's settings (" .. reason .. ")") end

  it("honours --quiet rules, progress, host, reason", function()
    local _, err = printed "--quiet rules"
    assert.not_matches("rule work:", err, 1, true)
    assert.matches("1 of 1 steps", err, 1, true)
    _, err = printed "--quiet progress host reason"
    assert.matches("rule work:", err, 1, true)
    for _, part in ipairs { "1 of 1 steps", "Host: ", "Missing output files", "jobs done" } do
      assert.not_matches(part, err, 1, true)
    end
  end)

  it("honours --quiet all", function()
    local out, err = printed "--quiet all"
    assert.equal("", out .. err)
  end)

  it("honours --dry-run, whose plan goes to standard output", function()
    local out = printed "--dry-run"
    assert.matches("rule work:", out, 1, true)
    assert.matches("This was a dry-run", out, 1, true)
  end)

  it("honours --verbose, --debug-dag and --printshellcmds", function()
    local out, err = printed "--verbose --debug-dag --printshellcmds"
    assert.equal("", out)
    for _, part in ipairs { "Resources before job selection", "candidate job work", "test ! -e fail", "Host: " } do
      assert.matches(part, err, 1, true)
    end
  end)

  it("prints the errors of a failed job, with its log's last lines under --show-failed-logs", function()
    local _, err = printed("", 1, { "fail" })
    for _, part in ipairs { "rule work:", "reason: Missing output files", "Error in rule work:" } do
      assert.matches(part, err, 1, true)
    end
    for _, part in ipairs { "\nthe last words\n", "candidate job", "Resources before" } do
      assert.not_matches(part, err, 1, true)
    end
    _, err = printed("--show-failed-logs", 1, { "fail" })
    assert.matches("Error in rule work:", err, 1, true)
    assert.matches("\nthe last words\n", err, 1, true)
  end)

  it("has colours on a terminal, and honours --nocolor", function()
    for options, is_coloured in pairs { [""] = true, ["--nocolor"] = false } do
      local folder <close> = setmetatable(workflow.new { Snakefile = SNAKEFILE }, {
        __close = workflow.remove, __index = workflow,
      })
      local screen <close> = folder:on_terminal(("--cores 1 %s --logger lkrun"):format(options), 100, 60)
      local text = screen:expect("status 0", true)
      assert.matches("1 of 1 steps", text, 1, true)
      assert.equal(is_coloured, text:find "\27%[[%d;]*3%dm" ~= nil, text)
    end
  end)
end)

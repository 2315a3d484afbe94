--- The manual as a static site and as man pages: build/lkrun docs/site/build.lua FOLDER
--- FOLDER/html has a page for each of docs/*.md and for the Markdown files at the top, and the reference; FOLDER/man
--- has the man pages. lowdown turns Markdown into HTML and roff.
local folder = arg[1] or error "lkrun: docs: which folder? build/docs is usual"

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function quoted(text) return "'" .. text:gsub("'", [['\'']]) .. "'" end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  local ok, how, code = pipe:close()
  if not ok then error(("lkrun: docs: %s: %s %d"):format(command, how, code), 0) end
  return text
end

local function lowdown(text, options)
  local path = folder .. "/page.md"
  write(path, text)
  local result = output_of(("lowdown %s %s"):format(options, quoted(path)))
  os.remove(path)
  return result
end

local version = output_of "build/lkrun --version":match "%S+ (%S+)"
-- The date is that of the text, so that the same text gives the same pages.
local date = output_of "date -u -d @${SOURCE_DATE_EPOCH:-$(stat -c %Y CHANGELOG.md)} +%F":match "%S+"
local reference = output_of "build/lkrun docs/site/reference.lua"

-- --- the site ---

local function title_of(text) return text:match "^#%s+([^\n]+)" or "lkrun" end

-- Makes the navigation from the tables of the index.
local function navigation()
  local parts = {}
  for line in read "docs/README.md":gmatch "[^\n]+" do
    local heading = line:match "^## (.+)"
    local name, page = line:match "^| %[(.-)%]%(([%w_-]+)%.md%)"
    if heading and not heading:find "^How the pages" then
      parts[#parts + 1] = ("<h2>%s</h2>"):format(heading)
    elseif name then
      parts[#parts + 1] = ('<a href="%s.html">%s</a>'):format(page, name)
    end
  end
  return table.concat(parts, "\n")
end

local frame = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%s - lkrun</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<nav>
<a class="home" href="index.html">lkrun %s</a>
<a href="manual.html">The manual</a>
<a href="tutorial.html">The tutorial</a>
<a href="tutorial-workflow.html">… to a cluster</a>
<a href="reference.html">Reference</a>
%s
</nav>
<main>
%s
</main>
</body>
</html>
]]

-- Turns links between Markdown files into links between pages. All pages are in one folder.
local function relinked(html)
  return (html:gsub('href="([^":]-)([%w_-]+)%.md(#?[^"]*)"', function(before, page, anchor)
    if page == "README" then page = before == "../" and "index" or "manual" end
    return ('href="%s.html%s"'):format(page:find "%l" and page or page:lower(), anchor)
  end):gsub('(src[set]*=")docs/', "%1"))
end

local function pages()
  local list = {
    index = read "README.md", manual = read "docs/README.md", changelog = read "CHANGELOG.md",
    architecture = read "ARCHITECTURE.md", contributing = read "CONTRIBUTING.md",
    reference = "# Reference\n\nThis page is made from the annotations of the public modules.\n" .. reference,
  }
  for path in output_of "ls docs/*.md":gmatch "[^\n]+" do
    local name = path:match "([%w_-]+)%.md$"
    if name ~= "README" then list[name] = read(path) end
  end
  return list
end

local function build_site(target)
  local links = navigation()
  for name, text in pairs(pages()) do
    local html = lowdown(text, "-Thtml --parse-no-intraemph --html-no-skiphtml --html-no-escapehtml")
    write(("%s/%s.html"):format(target, name), frame:format(title_of(text), version, links, relinked(html)))
  end
  output_of("cp LICENSE docs/site/style.css $(ls docs/*.svg 2>/dev/null) " .. quoted(target))
end

-- --- man pages ---

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

-- Turns a page into a man page: its sections move one level up, and links become plain text. A picture is replaced by
-- the text file of the same name, or, where there is none, by its description.
local function as_man(text)
  text = text:gsub("!%[([^]]*)%]%(([%w_-]+)%.svg%)", function(shows, name)
    local path = "docs/" .. name .. ".txt"
    return exists(path) and "```\n" .. read(path) .. "```" or "(" .. shows .. ")"
  end)
  return (text:gsub("^#%s+[^\n]+\n", "# DESCRIPTION\n"):gsub("%[([^%]\n]*)%]%(([^)\n]*)%)", function(name, target)
    return target:find "//" and ("%s (%s)"):format(name, target) or name
  end):gsub("\n##(#*) ([^\n]*)", function(deeper, heading)
    return "\n#" .. deeper .. " " .. (deeper == "" and heading:find "^[%w ,]+$" and heading:upper() or heading)
  end))
end

local man_pages = {
  { name = "lkrun", section = 1, about = "runs operations on a shared model over many tasks in parallel",
    source = "docs/commandline.md" },
  { name = "lkrun-map", section = 1, about = "an operation over a file of tasks", source = "docs/map.md" },
  { name = "lkrun-doctor", section = 1, about = "what lkrun would use here, and why", source = "docs/doctor.md" },
  { name = "lkrun-trace", section = 1, about = "the timeline of a pool, in short", source = "docs/trace.md" },
  { name = "lkrun-pool", section = 7, about = "how the pool of workers works", source = "docs/pool.md" },
  { name = "lkrun", section = 3, about = "the Lua modules of lkrun" },
}

local function build_man(target)
  for _, page in ipairs(man_pages) do
    local body = page.source and read(page.source)
      or '# Reference\n\nIn Lua, `local lk = require "lkrun"`; the modules of lkrec by their names.\n' .. reference
    local text = ("# NAME\n\n%s - %s\n\n%s"):format(page.name, page.about, as_man(body))
    local roff = lowdown(text, ("-s -Tman --parse-no-intraemph --nroff-nolinks -m title=%s -m section=%d -m date=%s "
      .. "-m source=%s -m volume=lkrun"):format(page.name, page.section, date, quoted("lkrun " .. version)))
    output_of(("mkdir -p %s/man%d"):format(quoted(target), page.section))
    -- Neither groff nor mandoc knows the font C that lowdown asks for.
    local file <close> = assert(io.open(("%s/man%d/%s.%d"):format(target, page.section, page.name, page.section), "wb"))
    file:write((roff:gsub("\\fC", "\\fB"):gsub("\n%.SH\n", "\n.SH ")))
  end
end

output_of(("rm -rf %s/html %s/man && mkdir -p %s/html %s/man"):format(quoted(folder), quoted(folder), quoted(folder),
  quoted(folder)))
build_site(folder .. "/html")
build_man(folder .. "/man")

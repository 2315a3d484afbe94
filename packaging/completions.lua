--- Writes the completion of `lkrun` for a shell: build/lkrun packaging/completions.lua bash|zsh|fish.
--- lua-argparse generates it from the parsers of the commands. argparse has no word that is either a command
--- or a script, and offers the options before a command after it, too: this program corrects both.

local function fail(...)
  io.stderr:write("lkrun: completions: ", string.format(...), "\n")
  os.exit(1, true)
end

local shell = arg[1] or fail "which shell? bash, zsh or fish"
package.path = package.path .. ";/usr/share/lua/5.4/?.lua"
if not package.searchpath("argparse", package.path) then
  fail "the Lua library argparse is not installed; install the Debian package lua-argparse"
end
-- A command is a module lkrun.command.NAME inside the executable, as in lkrun/program/main.c.
local command_names = {}
for module in pairs(require("lkrun.core.module_text").modules()) do
  command_names[#command_names + 1] = module:match "^lkrun%.command%.([%w_]+)$"
end
table.sort(command_names)

local function parser()
  local root = require "argparse"("lkrun", "Runs Lua programs."):add_help(false)
  root:option("-e", "Run this piece of Lua."):argname "CHUNK"
  root:flag("-i", "The prompt, after the script.")
  root:flag("--help", "How to use it.")
  root:flag("--version", "Which lkrun and which Lua.")
  for _, name in ipairs(command_names) do
    local module = require("lkrun.command." .. name)
    local command = root:command(name, module.summary)
    module.define(command)
    local options = command._options
    for i = #options, 1, -1 do
      if options[i]._hidden then table.remove(options, i) end
    end
  end
  return root
end

-- Replaces `part`, a plain string that must occur in `text`.
local function replace(text, part, by)
  local first, last = text:find(part, 1, true)
  if not first then fail("argparse writes no %q for %s", part, shell) end
  return text:sub(1, first - 1) .. by .. text:sub(last + 1)
end

local complete = {}

-- Where the function proposes nothing, bash proposes files itself, and quotes their names correctly.
function complete.bash(root)
  local text = root:get_bash_complete():gsub('%$%(compgen %-f %-%- "%$cur"%)', ""):gsub('opts="%$opts ', 'opts="')
  text = replace(text, "_lkrun()", "_lkrun_words()")
  return replace(text, "complete -F _lkrun -o bashdefault -o default lkrun\n", ([=[
_lkrun() {
    local cur="${COMP_WORDS[COMP_CWORD]}" scripts
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _lkrun_words
        if [[ "$cur" != -* ]]; then
            mapfile -t scripts < <(compgen -f -X '!*.lua' -- "$cur"; compgen -d -- "$cur")
            COMPREPLY+=("${scripts[@]}")
            compopt -o filenames 2>/dev/null
        fi
    else
        case "${COMP_WORDS[1]}" in
            %s) _lkrun_words ;;
        esac
    fi
}

complete -F _lkrun -o bashdefault -o default lkrun
]=]):format(table.concat(command_names, "|")))
end

function complete.zsh(root)
  local text = replace(root:get_zsh_complete(), '_describe "command" commands\n',
    '_describe "command" commands\n  _files -g "*.lua"\n')
  text = text:gsub("options=%(\n%s+%$options\n", "options=(\n")
  return replace(text, "\n  return 1\n}", "\n  _files\n}")
end

function complete.fish(root)
  local text = root:get_fish_complete():gsub("%-n '__fish_lkrun_using_command'", "-n __fish_is_first_arg")
  text = text:gsub("complete %-c lkrun (%-[sl] )", "complete -c lkrun -n __fish_is_first_arg %1")
  -- Only the first word is a command: in "lkrun job.lua map", map is an argument of the script.
  text = replace(text, "for arg in $cmdline\n", "for arg in $cmdline[1]\n")
  return text .. "complete -c lkrun -n __fish_is_first_arg -k -a '(__fish_complete_suffix .lua)'\n"
end

local write = complete[shell] or fail("the shell is '%s'; expected bash, zsh or fish", shell)
io.write(write(parser()))

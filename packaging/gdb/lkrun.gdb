# Commands for gdb, attached to a worker of lkrun, that show the Lua stack of its task. See docs/howto-debug.md.

define luatrace
  # The text is made in a new Lua state, so that the worker's state stays unchanged.
  set $text = (void *) luaL_newstate()
  call (void) luaL_traceback($text, $arg0, 0, 0)
  printf "%s\n", (char *) lua_tolstring($text, -1, 0)
  call (void) lua_close($text)
end
document luatrace
luatrace L prints the stack of a Lua state; in lkrun's C functions the state is the variable L.
end

define lkrun-task
  frame function run_task
  luatrace L
end
document lkrun-task
Prints the Lua stack of the task that this worker runs.
end

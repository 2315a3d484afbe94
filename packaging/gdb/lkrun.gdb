# For gdb, attached to a worker of lkrun: what the task is doing, in Lua. See docs/howto-debug.md.

define luatrace
  # The text goes into a state of its own: nothing of the worker's is touched.
  set $text = (void *) luaL_newstate()
  call (void) luaL_traceback($text, $arg0, 0, 0)
  printf "%s\n", (char *) lua_tolstring($text, -1, 0)
  call (void) lua_close($text)
end
document luatrace
luatrace L: the Lua stack of a state, L in the frames of lkrun.
end

define lkrun-task
  frame function run_task
  luatrace L
end
document lkrun-task
The Lua stack of the task that this worker runs.
end

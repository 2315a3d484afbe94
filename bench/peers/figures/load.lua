-- A model of 1 GiB in a file: time to its first element in a fresh process; and how many models ten processes hold
-- between them that have read all of one.
return {
  group = "Model files",
  order = 8,
  peers = { "numpy", "numpy mmap", "safetensors" },
  command = function(python, peer) return ("%s bench/peers/load.py '%s'"):format(python, peer) end,
  columns = {
    { title = "1 GiB from a file, ms", field = "seconds", scale = 1e3, figure = "load.safetensors.ms", drawn = true },
    { title = "models that ten hold", field = "models", figure = "load.memory.safetensors.models" },
  },
}

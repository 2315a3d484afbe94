-- A model of 1 GiB in a file: the time to its first element in a fresh process, and the memory of ten processes that
-- have all read the whole model, in models.
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

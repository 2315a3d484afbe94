local arguments = ...
return {
  columns = { "id", "result" },
  run = function(_, task) return { id = task.id, result = task.x ^ arguments.power } end,
}

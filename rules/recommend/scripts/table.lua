-- Writes a table with a row for each model and a column for each metric.
local lk = require "lkrun"
local metrics = require "lkrec.metrics"
local results = require "results"(snakemake.input, snakemake.params.models)

local header, rows = { "model", table.unpack(metrics.names) }, {}
for i, result in ipairs(results) do
  rows[i] = { result.name }
  for at, metric in ipairs(metrics.names) do rows[i][at + 1] = ("%.4f"):format(result.means[metric]) end
end
lk.rows.write(snakemake.output[1], rows, { columns = header })

-- Splits the ratings into two parts, and writes the tasks of rule recommend.
local options = snakemake.params.options
options.ratings, options.output, options.tasks = snakemake.input[1], snakemake.output.data, snakemake.output.tasks
require("lkrec.steps").split(options)

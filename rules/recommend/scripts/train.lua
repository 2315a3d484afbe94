require("lkrec.steps").train {
  data = snakemake.input[1], output = snakemake.output[1],
  model = snakemake.params.model, options = snakemake.params.options,
}

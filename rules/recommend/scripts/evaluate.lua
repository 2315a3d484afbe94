require("lkrec.steps").evaluate {
  data = snakemake.input.data, recommendations = snakemake.input.recommendations,
  output = snakemake.output[1], n = snakemake.params.n,
}

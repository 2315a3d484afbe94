"""Snakemake wrapper for evaluating recommendations with lkrec."""

__author__ = "The lkrun authors"
__copyright__ = "Copyright 2026, the lkrun authors"
__license__ = "MIT"

import json
import shlex

from snakemake.shell import shell

options = {
    "data": snakemake.input.data,
    "recommendations": snakemake.input.recommendations,
    "output": snakemake.output[0],
    "n": snakemake.params.get("n", 10),
}
program = 'require("lkrec.steps").run(...)'
command = shlex.join(["lkrun", "-e", program, "evaluate", json.dumps(options)])
log = f"2> {shlex.quote(snakemake.log[0])}" if snakemake.log else ""

shell("{command} {log}")

"""Snakemake wrapper for training a model of lkrec."""

__author__ = "The lkrun authors"
__copyright__ = "Copyright 2026, the lkrun authors"
__license__ = "MIT"

import json
import shlex

from snakemake.shell import shell

options = {
    "data": snakemake.input[0],
    "output": snakemake.output[0],
    "model": snakemake.params.model,
    "options": snakemake.params.get("options", {}),
}
program = 'require("lkrec.steps").run(...)'
command = shlex.join(["lkrun", "-e", program, "train", json.dumps(options)])
log = f"2> {shlex.quote(snakemake.log[0])}" if snakemake.log else ""

shell("{command} {log}")

"""Snakemake wrapper for recommending to ranges of users with a model of lkrec."""

__author__ = "The lkrun authors"
__copyright__ = "Copyright 2026, the lkrun authors"
__license__ = "MIT"

import json
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory

from snakemake.shell import shell

extra = snakemake.params.get("extra", "")
log = f"2> {shlex.quote(snakemake.log[0])}" if snakemake.log else ""

with TemporaryDirectory() as folder:
    operation = Path(folder) / "recommend.lua"
    operation.write_text('return require("lkrec.steps").operation(...)\n')
    words = ["lkrun", "map", str(operation)]
    words += ["--model", snakemake.input.model, "--tasks", snakemake.input.tasks]
    words += ["--output", snakemake.output[0], "--jobs", str(snakemake.threads), "--resume"]
    words += ["--op-args", json.dumps({"n": snakemake.params.get("n", 10)})]
    if snakemake.params.get("shard"):
        words += ["--shard", snakemake.params.shard]
    command = shlex.join(words)
    shell("{command} {extra} {log}")

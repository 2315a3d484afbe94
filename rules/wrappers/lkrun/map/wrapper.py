"""Snakemake wrapper for lkrun map."""

__author__ = "The lkrun authors"
__copyright__ = "Copyright 2026, the lkrun authors"
__license__ = "MIT"

import json
import shlex

from snakemake.shell import shell

words = ["lkrun", "map", snakemake.input.operation, "--tasks", snakemake.input.tasks]
if snakemake.input.get("model"):
    words += ["--model", snakemake.input.model]
words += ["--output", snakemake.output[0], "--jobs", str(snakemake.threads)]
if snakemake.output.get("failed"):
    words += ["--on-error", "skip", "--failed", snakemake.output.failed]
if snakemake.params.get("shard"):
    words += ["--shard", snakemake.params.shard]
if snakemake.params.get("arguments") is not None:
    words += ["--op-args", json.dumps(snakemake.params.arguments)]
if snakemake.params.get("resume", True):
    words.append("--resume")

command = shlex.join(words)
extra = snakemake.params.get("extra", "")
log = f"2> {shlex.quote(snakemake.log[0])}" if snakemake.log else ""

shell("{command} {extra} {log}")

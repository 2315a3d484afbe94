# What the rules of the workflow ask of its configuration, whose defaults are in config.schema.yaml.
import json

from snakemake.utils import validate

validate(config, "config.schema.yaml")


def ratings():
    return [config["ratings"]] if config["ratings"] else []


def split_options():
    options = {name: config[name] for name in ("block", "seed")}
    if not config["ratings"]:
        options["generate"] = config["generate"]
    return options | config["split"]


def model_module(wildcards):
    return config["models"][wildcards.model].get("model", wildcards.model)


def model_options(wildcards):
    options = config["models"][wildcards.model]
    return {name: value for name, value in options.items() if name != "model"}


def operation_arguments():
    return json.dumps({"n": config["n"]})

# Functions that read the workflow's configuration for its rules. The defaults are in config.schema.yaml.
import difflib
import json

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

with open(workflow.source_path("config.schema.yaml")) as file:
    SCHEMA = yaml.safe_load(file)


def check_keys(given, schema, where, are_others_allowed=False):
    """Raises an error for a key that the schema does not have; with `are_others_allowed` only if it looks misspelt."""
    known = list(schema["properties"])
    for key in given:
        near = difflib.get_close_matches(
            str(key).lower(), known, n=1, cutoff=0.8 if are_others_allowed else 0.6
        )
        if key in known or are_others_allowed and not near:
            continue
        meant = f" (did you mean '{where}{near[0]}'?)" if near else ""
        raise WorkflowError(
            f"lkrun: configuration of the recommendation workflow: unknown key '{where}{key}'{meant}; "
            f"expected {', '.join(known)}"
        )


# A module may be given the configuration of the whole workflow that uses it, which has keys of its own.
check_keys(
    config, SCHEMA, "", are_others_allowed=workflow.modifier.namespace is not None
)
for part in ("generate", "split"):
    if isinstance(config.get(part), dict):
        check_keys(config[part], SCHEMA["properties"][part], f"{part}.")
if isinstance(config.get("models"), dict):
    config["models"] = {
        str(name): {} if options is None else options
        for name, options in config["models"].items()
    }
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

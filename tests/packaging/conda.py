"""Checks packaging/conda/meta.yaml as conda-forge's linter does, by those of its rules for a recipe like this
one that need neither conda nor a network: conda.py RECIPE. Each finding is a line; the status is 1 then."""

import re
import sys
from pathlib import Path

import jinja2
import yaml

SECTIONS = ["package", "source", "build", "requirements", "test", "app", "outputs", "about", "extra"]
REQUIREMENTS = ["build", "host", "run"]
KEYS = {
    "package": {"name", "version"},
    "source": {"url", "sha256", "path", "patches"},
    "build": {"number", "skip", "script", "noarch"},
    "requirements": {"build", "host", "run", "run_constrained"},
    "test": {"commands", "requires", "source_files"},
    "about": {"home", "license", "license_file", "summary", "description", "doc_url", "dev_url"},
    "extra": {"recipe-maintainers"},
}


def findings(path):
    text = path.read_text()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    rendered = environment.from_string(text).render(
        compiler=lambda language: f"{language}_compiler_stub", stdlib=lambda language: f"{language}_stdlib_stub"
    )
    recipe = yaml.safe_load(rendered)
    requirements, about, build = recipe["requirements"], recipe["about"], recipe["build"]

    order = [section for section in SECTIONS if section in recipe]
    if list(recipe) != order:
        yield f"sections are {list(recipe)}; expected {order}"
    for section, keys in KEYS.items():
        for key in set(recipe.get(section) or {}) - keys:
            yield f"{section} has an unknown key: {key}"
    if list(requirements) != [part for part in REQUIREMENTS if part in requirements]:
        yield "requirements are not in the order build, host, run"
    for key in ("home", "license", "summary"):
        if not about.get(key):
            yield f"about has no {key}"
    if "license" in about["license"].lower() or about["license"].lower() == "unknown":
        yield f"the license is {about['license']!r}; expected an identifier of SPDX"
    if not (path.parents[2] / about["license_file"]).is_file():
        yield f"the license_file {about['license_file']} is not there"
    if not isinstance(build.get("number"), int):
        yield "build has no number"
    if not re.fullmatch(r"[a-z0-9_\-.]+", recipe["package"]["name"]):
        yield "the name has other characters than lower case letters, digits, _, - and ."
    if not re.fullmatch(r"[0-9][0-9a-z._!+]*", str(recipe["package"]["version"])):
        yield "the version is none"
    if "url" in recipe["source"] and "sha256" not in recipe["source"]:
        yield "the source has no hash"
    if not recipe["test"].get("commands"):
        yield "there are no tests"
    if not recipe["extra"].get("recipe-maintainers"):
        yield "there are no maintainers"
    if "c_compiler_stub" not in requirements["build"] or "c_stdlib_stub" not in requirements["build"]:
        yield "compiler('c') and stdlib('c') belong together, to build"
    for part in REQUIREMENTS:
        for requirement in requirements.get(part, []):
            if not re.fullmatch(r"[a-z0-9_\-.]+( [^ ]+( [^ ]+)?)?", requirement):
                yield f"{part}: {requirement!r}; expected a name, a space and perhaps a version"
    for line in text.splitlines():
        if re.match(r"\s*\{%\s*set", line) and not re.match(r"\s*\{% set \S+ = \S+ %\}", line):
            yield f"{line.strip()!r}; expected {{% set name = value %}}"
        if re.search(r"#\s*\[", line) and not re.search(r"\S  # \[[^\[\]]+\]$", line):
            yield f"{line.strip()!r}; expected two spaces, #, a space and the selector"
        if re.search(r"\{\{(\S|.*?\S\}\})", line):
            yield f"{line.strip()!r}; expected spaces inside of {{{{ }}}}"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield "expected one line end at the end of the file"


def main():
    found = list(findings(Path(sys.argv[1]).resolve()))
    for finding in found:
        print(finding)
    return 1 if found else 0


sys.exit(main())

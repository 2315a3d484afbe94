# Lua scripts in rules: after `include: "…/rules/lkrun.smk"`, `script: "recommend.lua"` runs under lkrun; scripts in
# other languages run as before. A workflow can also load this file as a module:
#
#     module lkrun:
#         snakefile: "…/rules/lkrun.smk"
#     use rule * from lkrun
#     script = lkrun.script
#
# The last line is needed because a module has its own copy of the globals. docs/snakemake.md has the rest.
import importlib.util

_specification = importlib.util.spec_from_file_location(
    "lkrun_script", workflow.source_path("lkrun_script.py")
)
_lkrun_script = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(_lkrun_script)
script = _lkrun_script.script

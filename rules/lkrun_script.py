"""The function that rules/lkrun.smk puts in front of Snakemake's own script().

A script whose name ends in .lua runs under lkrun, through a class derived from Snakemake's ScriptBase, so
that Snakemake still handles conda, containers, shadow and benchmarks. Every other script is passed on to
Snakemake. The job is handed over as a Lua program: no name in it ever passes through a shell, and numbers,
bytes and nested values arrive unchanged.
"""

import datetime
import inspect
import math
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import PurePath
from subprocess import CalledProcessError

import snakemake.iocontainers
from snakemake import script as snakemake_script
from snakemake.exceptions import WorkflowError
from snakemake.sourcecache import SourceCache, SourceFile
from snakemake.utils import format

FORMAT = 1  # version of the form in which the job is handed over; lua/lkrun/snakemake.lua has the same number
TESTED = "9.27.1"

# The functions of Snakemake that this file relies on, and their parameters in the tested version.
RELIED_ON = {
    "script.script": "path basedir input output params wildcards threads resources log config rulename "
    "conda_env conda_base_path container_img singularity_args env_modules bench_record jobid "
    "bench_iteration cleanup_scripts shadow_dir sourcecache_path runtime_sourcecache_path "
    "runtime_paths",
    "script.get_source": "path sourcecache basedir wildcards params",
    "script.ScriptBase.__init__": "self path cache_path source basedir input_ output params wildcards "
    "threads resources log config rulename conda_env conda_base_path container_img singularity_args "
    "env_modules bench_record jobid bench_iteration cleanup_scripts shadow_dir is_local runtime_paths",
    "script.ScriptBase.evaluate": "self edit",
    "script.ScriptBase.get_preamble": "self",
    "script.ScriptBase.write_script": "self preamble fd",
    "script.ScriptBase.execute_script": "self fname edit",
    "script.ScriptBase._execute_cmd": "self cmd kwargs",
    "iocontainers.Namedlist._plainstrings": "self",
    "iocontainers.Namedlist._get_names": "self",
    "sourcecache.SourceCache.__init__": "self cache_path runtime_cache_path",
}


class LuaError(WorkflowError):
    """A Lua script failed, or its job cannot be handed over."""


def check_snakemake():
    """Raises an error where a function of this Snakemake differs from the tested version's."""
    for name, expected in RELIED_ON.items():
        found = snakemake
        for part in name.split("."):
            found = getattr(found, part, None)
        parameters = " ".join(inspect.signature(found).parameters) if found else "none"
        if parameters != expected:
            raise WorkflowError(
                f"lkrun: rules/lkrun.smk: Snakemake {version('snakemake')} found, whose "
                f"snakemake.{name} is not as in Snakemake {TESTED} (its parameters: {parameters}); "
                f"expected Snakemake {TESTED}, a version with the same functions, or another version of lkrun's rules"
            )


# ---- Python values in Lua ----


def lua_string(text):
    """A Lua literal of the text's bytes. Bytes of a file name that are not UTF-8 come out unchanged."""
    pieces = []
    for byte in text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text:
        plain = 32 <= byte < 127 and byte not in b'"\\'
        pieces.append(chr(byte) if plain else f"\\{byte:03d}")
    return '"' + "".join(pieces) + '"'


def lua_number(value, where):
    if isinstance(value, int):
        if -(2**63) < value < 2**63:
            return str(value)
        raise LuaError(
            f"lkrun: {where}: the integer {value} found; expected one of 64 bits, or a string or float"
        )
    if math.isnan(value):
        return "-(0/0)"
    if math.isinf(value):
        return "1/0" if value > 0 else "-1/0"
    return repr(value)


def lua_sequence(values, where, names=None):
    """The elements of a Lua sequence. None becomes null, because nil would be a hole.

    `names` maps places in the sequence to names, for error messages.
    """
    paths = {place: f"{where}.{name}" for name, place in (names or {}).items()}
    return ", ".join(
        "null" if value is None else lua_value(value, paths.get(i, f"{where}[{i}]"))
        for i, value in enumerate(values, 1)
    )


def lua_fields(items, where):
    """The fields of a Lua table. A field whose value is None is left out, so that it is nil in Lua."""
    fields = []
    for key, value in items:
        if key is None or isinstance(key, float) and math.isnan(key):
            raise LuaError(f"lkrun: {where}: the key {key} found; expected a string or a number")
        if value is not None:
            fields.append(f"[{lua_value(key, where)}] = {lua_value(value, f'{where}.{key}')}")
    return ", ".join(fields)


def lua_value(value, where):
    """A Lua expression for the value. `where` is the value's path, for error messages."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return lua_number(value, where)
    if isinstance(value, (str, bytes)):
        return lua_string(value)
    if isinstance(value, PurePath):
        return lua_string(str(value))
    if isinstance(value, (datetime.date, datetime.time)):
        return lua_string(value.isoformat())
    if type(value).__name__ == "DataFrame" and hasattr(value, "to_dict"):
        value = value.to_dict("list")
    elif hasattr(value, "tolist"):  # NumPy's numbers and arrays, a column of pandas
        return lua_value(value.tolist(), where)
    if isinstance(value, Mapping):
        return "{" + lua_fields(value.items(), where) + "}"
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=repr)
    if isinstance(value, Iterable):
        return "{" + lua_sequence(value, where) + "}"
    raise LuaError(
        f"lkrun: {where}: a value of type {type(value).__name__} found; expected a text, a number, a "
        "boolean, None, or lists and dicts of them"
    )


def lua_namedlist(values, where):
    """A list and the places of its names: lkrun.snakemake makes a table by position and by name from them."""
    places = dict(values._get_names())
    names = {name: first + 1 for name, (first, end) in places.items() if end is None}
    several = {name: [first + 1, end] for name, (first, end) in places.items() if end is not None}
    sequence = lua_sequence(values, where, names)
    return f"{{list = {{{sequence}}}, names = {{{lua_fields((names | several).items(), where)}}}}}"


def fields_by_line(fields):
    return "".join(f"    {name} = {value},\n" for name, value in fields.items())


# ---- The script ----


class LuaScript(snakemake_script.ScriptBase):
    def get_preamble(self):
        resources = {
            name: value for name, value in self.resources.items() if name not in ("_cores", "_nodes")
        }
        lists = {
            "input": lua_namedlist(self.input._plainstrings(), "input"),
            "output": lua_namedlist(self.output._plainstrings(), "output"),
            "params": lua_namedlist(self.params, "params"),
            "wildcards": lua_namedlist(self.wildcards, "wildcards"),
            "log": lua_namedlist(self.log._plainstrings(), "log"),
        }
        job = {
            "threads": lua_value(self.threads, "threads"),
            "resources": lua_value(resources, "resources"),
            "config": lua_value(self.config, "config"),
            "rule": lua_string(self.rulename),
            "jobid": lua_value(self.jobid, "jobid"),
            "scriptdir": lua_string(self.path.get_basedir().get_path_or_uri(secret_free=True)),
        }
        if self.bench_iteration is not None:
            job["bench_iteration"] = lua_value(self.bench_iteration, "bench_iteration")
        return (
            'local null = require("lkrun").null\n'
            'return require "lkrun.snakemake" {\n'
            f"  format = {FORMAT},\n"
            f"  lists = {{\n{fields_by_line(lists)}  }},\n"
            f"  job = {{\n{fields_by_line(job)}  }},\n"
            f"  path = {lua_string(self.name())},\n"
            f"  folder = {lua_string(self.folder())},\n"
            f"  source = {lua_string(self.source)},\n"
            "}\n"
        )

    def write_script(self, preamble, fd):
        fd.write(preamble.encode())

    def execute_script(self, fname, edit=False):
        log = self.log[0] if self.log else None
        # Standard error is appended to the log, because the script may open that file, too. The log is emptied
        # first, except before the repetitions of a benchmark.
        begin = ": > {log_file:q}; " if not self.bench_iteration else ""
        # Progress is written as lines, unless the user chose another form, or a program that watches
        # LK_PROGRESS_DIR shows it; a job with a log writes its lines there all the same.
        watched = os.environ.get("LK_PROGRESS") or (os.environ.get("LK_PROGRESS_DIR") and not log)
        variables = {} if watched else {"LK_PROGRESS": "lines"}
        try:
            self._execute_cmd(
                begin + "lkrun {fname:q} 2>> {log_file:q}" if log else "lkrun {fname:q}",
                fname=os.path.abspath(fname),
                log_file=log,
                additional_envvars=variables,
            )
        except CalledProcessError as error:
            raise LuaError(self.describe(error.returncode, log)) from None

    def name(self):
        return self.path.get_path_or_uri(secret_free=True)

    def folder(self):
        """The folder in which `require` looks first: that of the script, or of the copy of a remote script."""
        return os.path.dirname(self.name() if self.is_local else self.cache_path or "")

    def describe(self, status, log):
        if status == 127:
            return "lkrun: not found; expected on PATH, in the environment that the rule runs in"
        end = f"signal {-status}" if status < 0 else f"exit status {status}"
        if not log:
            return f"{self.name()} ended with {end}; its messages are above"
        path = os.path.join(self.shadow_dir or "", log)
        return f"{self.name()} ended with {end}:\n{last_message(path)}"


def last_message(path):
    """The last message in the program's log: lkrun's own report with its traceback, or else the last lines."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 16384))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"{path}: {error.strerror}"
    starts = [i for i, line in enumerate(lines) if line.startswith("lkrun: ")]
    return "\n".join(lines[starts[-1] :] if starts else lines[-20:])


SIGNATURE = inspect.signature(snakemake_script.script)


def file_name(path, wildcards, params):
    if isinstance(path, SourceFile):
        return path.format(wildcards=wildcards, params=params).get_filename()
    return format(str(path), wildcards=wildcards, params=params)


def script(*arguments, **named):
    """Snakemake's script(), which also runs Lua."""
    job = SIGNATURE.bind(*arguments, **named).arguments
    if not file_name(job["path"], job["wildcards"], job["params"]).endswith(".lua"):
        return snakemake_script.script(*arguments, **named)
    cache = SourceCache(job.pop("sourcecache_path"), job.pop("runtime_sourcecache_path"))
    path = job.pop("path")
    job["input_"] = job.pop("input")
    job["path"], job["source"], _, job["is_local"], job["cache_path"] = snakemake_script.get_source(
        str(path) if isinstance(path, PurePath) else path,
        cache,
        job["basedir"],
        job["wildcards"],
        job["params"],
    )
    try:
        LuaScript(**job).evaluate()
    except LuaError as error:
        raise error.with_traceback(None) from None  # this file's own traceback is of no use to the user


check_snakemake()

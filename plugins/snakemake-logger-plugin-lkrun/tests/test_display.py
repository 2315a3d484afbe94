"""Tests the display without a terminal, and reading a folder while others write into it."""

import io
import json
from logging import LogRecord

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_lkrun import display
from snakemake_logger_plugin_lkrun.jobs import Jobs
from snakemake_logger_plugin_lkrun.progress import ProgressFolder


def record(event, **fields):
    made = LogRecord("snakemake", 20, "", 0, "", None, None)
    vars(made).update(event=event, **fields)
    return made


def line(**fields):
    said = {"version": 1, "host": "node7", "pid": 4242, "id": 1, "label": "users", "unit": "users", "total": 1000}
    said |= {"dispatched": 30, "in_progress": 4, "finished": 400, "elapsed": 40.0, "ended": False}
    return json.dumps(said | fields) + "\n"


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = Jobs()
    jobs.note(record(LogEvent.RUN_INFO, stats={"total": 3}))
    jobs.note(record(LogEvent.JOB_STARTED, jobs=[1]))
    jobs.note(record(LogEvent.JOB_INFO, jobid=1, rule_name="recommend", wildcards={"i": "2"}, output=["out/2.csv"]))
    return jobs


def test_lines_where_there_is_no_terminal(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.0)
    (tmp_path / "node7-4242.jsonl").write_text(line(outputs=["out/2.csv"]))
    folder, stream = ProgressFolder(tmp_path), io.StringIO()
    folder.update()
    display.Lines(stream).update(jobs, folder)
    assert stream.getvalue() == (
        "0 of 3 jobs done, 1 running\n"
        "recommend i=2 (users): 400 of 1000 users finished, 4 in progress, 30 dispatched, 10 users/s, 1:00 left\n"
    )


def test_no_line_before_its_time(jobs, tmp_path):
    stream = io.StringIO()
    display.Lines(stream).update(jobs, ProgressFolder(tmp_path))
    assert stream.getvalue() == ""


def test_a_label_that_says_no_more_than_the_rule_is_left_out(jobs, tmp_path):
    (tmp_path / "node7-4242.jsonl").write_text(line(outputs=["out/2.csv"], label="recommend"))
    folder = ProgressFolder(tmp_path)
    folder.update()
    assert [name for name, _ in display.current(jobs, folder)] == ["recommend i=2"]


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"version": 2}', line(total="many"), "\x00" * 50])
def test_lines_that_lkrun_did_not_write_are_skipped(jobs, tmp_path, broken):
    path = tmp_path / "node7-4242.jsonl"
    path.write_text(f"{broken}\n{line(outputs=['out/2.csv'])}{line(finished=500)[:40]}")
    folder = ProgressFolder(tmp_path)
    folder.update()
    assert [shown.finished for _, shown in display.current(jobs, folder)] == [400]
    with path.open("a") as file:  # the line that was being written
        file.write(line(finished=500, outputs=["out/2.csv"])[40:])
    folder.update()
    assert [shown.finished for _, shown in display.current(jobs, folder)] == [500]

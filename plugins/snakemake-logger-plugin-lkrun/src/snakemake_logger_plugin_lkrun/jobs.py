"""Keeps track of the running jobs, from the events that Snakemake logs."""

import os
import time
from dataclasses import dataclass, field
from logging import LogRecord

from snakemake_interface_logger_plugins.common import LogEvent


@dataclass
class Job:
    rule: str = ""
    wildcards: str = ""
    outputs: frozenset[str] = frozenset()
    started: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return f"{self.rule} {self.wildcards}".strip() or "job"


def _wildcards(value) -> str:
    items = getattr(value, "items", None)
    return " ".join(f"{name}={text}" for name, text in items()) if items else ""


class Jobs:
    """The jobs by Snakemake's number. `failed` has the numbers of jobs whose last attempt failed."""

    def __init__(self) -> None:
        self.running: dict[int, Job] = {}
        self.ended: list[Job] = []  # jobs that ended since the display last read and cleared this list
        self.failed: set[int] = set()
        self.done = 0
        self.total: int | None = None
        self.first_start: float | None = None

    def note(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            stats = getattr(record, "stats", None) or {}
            self.total = stats.get("total", self.total)
        elif event == LogEvent.JOB_STARTED:
            for number in getattr(record, "jobs", None) or ():
                self._start(number)
        elif event == LogEvent.JOB_INFO:
            self._describe(record)
        elif event == LogEvent.JOB_FINISHED:
            self._end(getattr(record, "job_id", None))
        elif event == LogEvent.JOB_ERROR:
            self._fail(getattr(record, "jobid", None))
        elif event == LogEvent.GROUP_ERROR:
            for info in getattr(record, "job_error_info", None) or ():
                self._fail(info.get("jobid"))
        elif event == LogEvent.PROGRESS:
            self.done, self.total = record.done, record.total

    def _start(self, number: int) -> None:
        job = self.running.setdefault(number, Job())
        job.started = time.monotonic()
        self.failed.discard(number)
        if self.first_start is None:
            self.first_start = job.started

    def _describe(self, record: LogRecord) -> None:
        number = getattr(record, "jobid", None)
        if number not in self.running:
            return  # the job of a dry run, for instance
        job = self.running[number]
        job.rule = getattr(record, "rule_name", "") or ""
        job.wildcards = _wildcards(getattr(record, "wildcards", None))
        job.outputs = frozenset(os.path.abspath(str(name)) for name in getattr(record, "output", None) or ())

    def _end(self, number) -> None:
        job = self.running.pop(number, None)
        if job:
            self.ended.append(job)

    def _fail(self, number) -> None:
        self._end(number)
        if number is not None:
            self.failed.add(number)

    def seconds_left(self) -> float | None:
        """An estimate from the jobs that are done; None until one is."""
        if not self.done or not self.total or self.first_start is None:
            return None
        passed = time.monotonic() - self.first_start
        return passed / self.done * (self.total - self.done)

    def summary(self) -> str:
        total = "?" if self.total is None else self.total
        parts = [f"{self.done} of {total} jobs done", f"{len(self.running)} running"]
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        left = self.seconds_left()
        if left is not None and self.running:
            parts.append(f"{clock(left)} left")
        return ", ".join(parts)


def clock(seconds: float) -> str:
    whole = int(seconds + 0.5)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"

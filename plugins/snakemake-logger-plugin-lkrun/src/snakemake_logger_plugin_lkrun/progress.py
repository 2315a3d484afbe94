"""Reads the progress of running lkrun programs from LK_PROGRESS_DIR, where each writes a file of JSON lines.

A file may be read while it is written, and the disk may be full: only complete lines count, and whatever cannot be
read is skipped.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

FORMAT_VERSION = 1
MAX_LINE = 1 << 20


@dataclass
class Display:
    """The last state of one display of one lkrun."""

    label: str
    unit: str
    total: int | None
    dispatched: int
    in_progress: int
    finished: int
    elapsed: float
    ended: bool
    outputs: tuple[str, ...]

    @property
    def rate(self) -> float:
        return self.finished / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        if not self.total or self.rate <= 0:
            return None
        return max(0.0, (self.total - self.finished) / self.rate)


def _whole(value) -> int:
    return max(0, int(value or 0))


def parse(line: bytes) -> tuple[tuple, Display] | None:
    """A line as the key of its display and its state; None for a line of another kind, or of a newer format."""
    try:
        said = json.loads(line)
        if said["version"] != FORMAT_VERSION:
            return None
        key = (said["host"], said["pid"], said.get("worker"), said["id"])
        total = said.get("total")
        return key, Display(
            label=str(said.get("label") or ""),
            unit=str(said.get("unit") or "tasks"),
            total=None if total is None else _whole(total),
            dispatched=_whole(said.get("dispatched")),
            in_progress=_whole(said.get("in_progress")),
            finished=_whole(said.get("finished")),
            elapsed=float(said.get("elapsed") or 0.0),
            ended=bool(said.get("ended")),
            outputs=tuple(str(name) for name in said.get("outputs") or ()),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class ProgressFolder:
    """Reads new lines from a folder, and keeps the last state of every display."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.displays: dict[tuple, Display] = {}
        self._read: dict[str, int] = {}  # file name -> number of bytes that were read, in complete lines

    def update(self) -> None:
        try:
            names = sorted(name for name in os.listdir(self.path) if name.endswith(".jsonl"))
        except OSError:
            return
        for name in names:
            self._update_file(name)

    def _update_file(self, name: str) -> None:
        start = self._read.get(name, 0)
        try:
            with open(self.path / name, "rb") as file:
                file.seek(start)
                data = file.read(16 * MAX_LINE)
        except OSError:
            return
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) > MAX_LINE:  # too long for a line that lkrun wrote: skip it
            end = len(data)
        self._read[name] = start + end
        for line in data[:end].splitlines():
            parsed = parse(line)
            if parsed:
                key, display = parsed
                self.displays[(name, *key)] = display

    def of_outputs(self, outputs: frozenset[str]) -> list[Display]:
        """The displays of the job that makes these files (absolute paths), oldest first."""
        return [
            display
            for display in self.displays.values()
            if outputs and outputs.intersection(os.path.abspath(name) for name in display.outputs)
        ]

    def forget(self, outputs: frozenset[str]) -> None:
        """Drops the displays of the job that makes these files: it has ended, and a retry makes new ones."""
        for key, display in list(self.displays.items()):
            if outputs.intersection(os.path.abspath(name) for name in display.outputs):
                del self.displays[key]

    def remove(self) -> None:
        """Removes the folder with the files of this run."""
        try:
            for name in os.listdir(self.path):
                os.unlink(self.path / name)
            os.rmdir(self.path)
        except OSError:
            pass

"""Shows jobs and their progress: a line and bars at the bottom of a terminal, or lines every half minute.

On a terminal, enlighten keeps the bottom lines out of the part that scrolls, so that everything that Snakemake or a job
writes appears above them.
"""

import time
from typing import Protocol, TextIO

import enlighten

from .jobs import Jobs, clock
from .progress import Display, ProgressFolder

SECONDS_BETWEEN_LINES = 30.0
BAR = (
    "{name} {percentage:3.0f}%|{bar}| {count}/{total} {unit}"
    " [{running} in progress, {waiting} dispatched, {rate_text}, {left}]"
)
NARROW_BAR = "{name} {percentage:3.0f}%|{bar}| {count}/{total} {left}"
NARROW_COUNTER = "{name} {count} {unit}{fill}"
LEAST_BAR = 18  # columns for the bar, its ends and the percentage
COUNTER = "{name} {count} {unit} [{running} in progress, {waiting} dispatched, {rate_text}]{fill}"


def rate_text(display: Display) -> str:
    return f"{display.rate:.3g} {display.unit}/s" if display.rate < 1000 else f"{display.rate:,.0f} {display.unit}/s"


def shortened(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(0, room - 1)] + "…"


def describe(name: str, display: Display) -> str:
    """A display as one line of text, for output that is not a terminal."""
    of_total = "" if display.total is None else f" of {display.total}"
    left = display.seconds_left
    tail = "" if left is None else f", {clock(left)} left"
    return (
        f"{name}: {display.finished}{of_total} {display.unit} finished, {display.in_progress} in progress, "
        f"{display.dispatched} dispatched, {rate_text(display)}{tail}"
    )


def current(jobs: Jobs, folder: ProgressFolder) -> list[tuple[str, Display]]:
    """The newest display of each running job that has one, with the name to show."""
    shown = []
    for job in jobs.running.values():
        displays = folder.of_outputs(job.outputs)
        if displays:
            label = displays[-1].label
            says_more = label and not job.rule.endswith(label)
            shown.append((f"{job.name} ({label})" if says_more else job.name, displays[-1]))
    return shown


class Shown(Protocol):
    def update(self, jobs: Jobs, folder: ProgressFolder) -> None: ...
    def close(self) -> None: ...


class Bars:
    """A status line for the workflow and a bar for each job, on a terminal.

    It is made in the main thread, because enlighten installs a signal handler for changes of the terminal's size; another
    thread updates it.
    """

    def __init__(self, stream: TextIO, colour: bool) -> None:
        self._manager = enlighten.get_manager(stream=stream, enabled=True, threaded=True)
        self._colour = "green" if colour else None
        self._status = self._manager.status_bar("no job runs yet", leave=False)
        self._bars: dict[str, enlighten.Counter] = {}

    def update(self, jobs: Jobs, folder: ProgressFolder) -> None:
        self._status.update(shortened(jobs.summary(), self._manager.width - 1))
        shown = dict(current(jobs, folder))
        room = max(1, self._manager.height // 2)
        names = list(shown)[:room]
        for name in [name for name in self._bars if name not in names]:
            self._bars.pop(name).close(clear=True)
        for name in names:
            self._draw(name, shown[name])

    def _draw(self, key: str, display: Display) -> None:
        left = display.seconds_left
        width = self._manager.width
        name = shortened(key, max(8, width // 3))
        fields = {
            "name": name,
            "running": display.in_progress,
            "waiting": display.dispatched,
            "rate_text": rate_text(display),
            "left": "? left" if left is None else f"{clock(left)} left",
        }
        details = COUNTER.format(count=display.finished, unit=display.unit, fill=f"/{display.total}", **fields)
        is_wide = len(details) + len(fields["left"]) + LEAST_BAR < width
        bar = self._bars.get(key)
        if bar is None:
            bar = self._manager.counter(
                total=display.total,
                unit=display.unit,
                color=self._colour,
                leave=False,
                fields=fields,
            )
            self._bars[key] = bar
        bar.bar_format = BAR if is_wide else NARROW_BAR
        bar.counter_format = COUNTER if is_wide else NARROW_COUNTER
        bar.total = display.total
        bar.count = display.finished
        bar.fields.update(fields)
        bar.refresh()

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close(clear=True)
        self._bars.clear()
        self._status.close(clear=True)
        self._manager.stop()


class Lines:
    """A line for the workflow and one for each job, every half minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def update(self, jobs: Jobs, folder: ProgressFolder) -> None:
        now = time.monotonic()
        if now < self._next or not jobs.running:
            return
        self._next = now + SECONDS_BETWEEN_LINES
        lines = [jobs.summary(), *(describe(name, display) for name, display in current(jobs, folder))]
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()

    def close(self) -> None:
        pass

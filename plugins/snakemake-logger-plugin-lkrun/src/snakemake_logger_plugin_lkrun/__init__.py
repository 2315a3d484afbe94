"""Snakemake's messages, with live progress of the jobs that run lkrun."""

import os
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path
from typing import Optional

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from .display import Bars, Lines, Shown
from .jobs import Jobs
from .progress import ProgressFolder

VARIABLE = "LK_PROGRESS_DIR"


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    folder: Optional[Path] = field(
        default=None,
        metadata={
            "help": "Folder in which the jobs write their progress (LK_PROGRESS_DIR). It must be on a file system that "
            "all nodes share. Default: a new folder in .snakemake, which is removed at the end.",
            "env_var": False,
            "required": False,
        },
    )
    interval: float = field(
        default=0.5,
        metadata={
            "help": "Seconds between two drawings.",
            "env_var": False,
            "required": False,
        },
    )


class LogHandler(LogHandlerBase):
    """Prints what Snakemake's own handler prints, and keeps a display of the running jobs.

    The messages are printed by Snakemake's own handler, filter and formatter; the display is drawn by a thread of its
    own, from the first job on. An error in the display ends the display; it is never an error of the workflow.
    """

    def __post_init__(self) -> None:
        settings = self.settings or LogHandlerSettings()
        common = self.common_settings
        quiet = set(common.quiet or ())
        self._stream = sys.stdout if common.stdout else sys.stderr
        self._text = ColorizingTextHandler(nocolor=common.nocolor, stream=self._stream)
        self._text.setFormatter(DefaultFormatter(quiet, common.show_failed_logs))
        self._text.addFilter(
            DefaultFilter(quiet, common.debug_dag, common.verbose, common.dryrun, common.printshellcmds)
        )
        self._interval = max(0.05, settings.interval)
        self._jobs = Jobs()
        self._lock = threading.RLock()  # protects _jobs and _shown
        self._end = threading.Event()
        self._drawing: Optional[threading.Thread] = None
        self._shown: Optional[Shown] = None
        self._folder: Optional[ProgressFolder] = None
        self._made_folder = False
        shows = not common.dryrun and not quiet & {Quietness.ALL, Quietness.PROGRESS}
        if shows:
            self._open_folder(settings.folder)
        if self._folder:
            self._open_display()

    def _open_folder(self, given: Optional[Path]) -> None:
        chosen = given or os.environ.get(VARIABLE)
        try:
            if chosen:
                folder = Path(chosen).absolute()
                folder.mkdir(parents=True, exist_ok=True)
            else:
                parent = Path(".snakemake").absolute()
                parent.mkdir(exist_ok=True)
                folder = Path(tempfile.mkdtemp(prefix="lkrun-progress-", dir=parent))
                self._made_folder = True
        except OSError:
            return  # on a full disk, for instance, there are messages without a display
        os.environ[VARIABLE] = str(folder)
        self._folder = ProgressFolder(folder)

    # --- messages ---

    def emit(self, record: LogRecord) -> None:
        with self._lock:
            try:
                self._jobs.note(record)
            except Exception:  # an event of an unknown form: its message is still printed
                pass
            try:
                shown = self._text.filter(record)
            except Exception:
                shown = True
            if shown:
                self._print(record)
            if getattr(record, "event", None) == LogEvent.JOB_STARTED:
                self._start_drawing()

    def _print(self, record: LogRecord) -> None:
        try:
            self._text.format(record)
        except Exception:  # the formatter lacks a field: print the plain message instead
            record.event = None
        self._text.emit(record)

    # --- the display ---

    def _open_display(self) -> None:
        try:
            terminal = self._stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
            self._shown = Bars(self._stream, not self._text.nocolor) if terminal else Lines(self._stream)
        except Exception:  # on an unknown terminal, for instance, there are messages without a display
            self._shown = None

    def _start_drawing(self) -> None:
        if self._drawing or not self._shown or self._end.is_set():
            return
        self._drawing = threading.Thread(target=self._draw, name="lkrun-progress", daemon=True)
        self._drawing.start()

    def _draw(self) -> None:
        try:
            while not self._end.wait(self._interval):
                self._folder.update()
                with self._lock:
                    for job in self._jobs.ended:
                        self._folder.forget(job.outputs)
                    self._jobs.ended.clear()
                    self._shown.update(self._jobs, self._folder)
        except Exception:  # the terminal was closed, for instance
            pass

    def close(self) -> None:
        self._end.set()
        if self._drawing:
            self._drawing.join()
            self._drawing = None
        if self._shown:
            try:
                self._shown.close()
            except Exception:
                pass
            self._shown = None
        if self._folder and self._made_folder:
            self._folder.remove()
            self._made_folder = False
        super().close()

    # --- properties that the interface requires ---

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return True

    @property
    def has_formatter(self) -> bool:
        return True

    @property
    def needs_rulegraph(self) -> bool:
        return False

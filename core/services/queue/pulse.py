"""The heartbeat of a worker, and what it learns while it beats: cancelled, taken away, told to stop, orphaned."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from core.errors import StorageError
from core.services.queue.processes import process_alive
from core.settings import Settings
from core.store import jobs as queue
from core.store.connection import open_log

log = logging.getLogger(__name__)

_Handler = Callable[[int, FrameType | None], object] | int | None

LOOK_S = 0.5
"""How often the thread looks whether the parent is alive."""

ORPHAN_GRACE_S = 10.0
"""How long an orphaned worker may take to put its job back before it ends at once; the job is then taken back."""


class Pulse:
    """A thread that says that the worker is alive. Use as a context manager around the worker's loop."""

    def __init__(self, settings: Settings, *, worker_id: int, parent_pid: int | None) -> None:
        self._settings = settings
        self._worker_id = worker_id
        self._parent_pid = parent_pid
        self._is_child = parent_pid is not None and os.getppid() == parent_pid
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._job_id: int | None = None
        self._interrupt_job = False
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._old_handlers: dict[signal.Signals, _Handler] = {}

    def __enter__(self) -> Pulse:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._old_handlers[number] = signal.signal(number, self._on_signal)
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._ended.set()
        self._thread.join(timeout=self._settings.heartbeat_s + LOOK_S)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)

    @property
    def stopping(self) -> bool:
        """Whether the worker is to end: it got a signal, or its parent is dead."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, unless the worker is to end."""
        self._stop.wait(seconds)

    def interrupted(self) -> bool:
        """Say whether the present job is to be given up: cancelled, taken away, or the worker is to end."""
        return self._stop.is_set() or self._interrupt_job

    @contextmanager
    def of_job(self, job_id: int) -> Generator[None]:
        """Beat for a job as well, while it is carried out."""
        self._interrupt_job = False
        self._job_id = job_id
        try:
            yield
        finally:
            self._job_id = None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _beat(self) -> None:
        next_beat = 0.0
        while not self._ended.wait(min(LOOK_S, self._settings.heartbeat_s)):
            if self._orphaned():
                self._leave()
                return
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + self._settings.heartbeat_s
                self._beat_once()

    def _beat_once(self) -> None:
        job_id = self._job_id
        try:
            with open_log(self._settings) as database:
                owned, cancel = queue.beat(database, worker_id=self._worker_id, job_id=job_id)
        except StorageError as err:
            # One beat may be missed: the log may be locked for a moment. The job's own writes report a lasting fault.
            log.warning("Heartbeat missed: %s", err)
            return
        if job_id is not None and job_id == self._job_id:
            self._interrupt_job = cancel or not owned

    def _orphaned(self) -> bool:
        if self._parent_pid is None:
            return False
        if self._is_child and sys.platform != "win32":
            return os.getppid() != self._parent_pid
        return not process_alive(self._parent_pid)

    def _leave(self) -> None:
        """Let the worker put its job back; end the process if the analysis does not look up in time."""
        log.warning("The process %s that started this worker is gone; the worker ends.", self._parent_pid)
        self._stop.set()
        if not self._ended.wait(ORPHAN_GRACE_S):
            os._exit(1)

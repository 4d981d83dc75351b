"""Slides held open for the tile routes: at most so many, the longest unused closed first, never one that is in use."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConflictError, NotFoundError, UnreadableSlideError
from core.slides.deepzoom import DeepZoomSlide, file_signature

OPEN_LIMIT = 8
"""Open slides: each may hold a file handle per level and tens of MiB of decoded tiles."""
CHECK_EVERY_S = 1.0
"""How often a used slide is looked for on the disk, so that a moved or replaced file is noticed."""
WAIT_S = 10.0
"""How long a request waits for a place before it gives up."""


@dataclass(frozen=True, slots=True)
class SlidePlace:
    """Where a slide of the catalogue lies."""

    path: Path
    mpp: float | None = None
    """um/px given by the user; None = what the file says."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A slide that is open, being opened, or waiting for its last reader to leave."""

    place: SlidePlace
    slide: DeepZoomSlide | None = None
    signature: str = ""
    readers: int = 0
    checked_at: float = 0.0
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class BorrowedSlide:
    """An open slide and the version of its file."""

    slide: DeepZoomSlide
    version: str


class OpenSlides:
    """The open slides of one server process."""

    def __init__(
        self,
        locate: Callable[[str], SlidePlace],
        open_deep_zoom: Callable[[SlidePlace], DeepZoomSlide],
        *,
        limit: int = OPEN_LIMIT,
    ) -> None:
        """Hold nothing open yet.

        Args:
            locate: Finds a slide by id; raises NotFoundError.
            open_deep_zoom: Opens it; raises UnreadableSlideError.
            limit: Most slides open at once.
        """
        self._locate = locate
        self._open = open_deep_zoom
        self._limit = limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._leaving = 0  # replaced entries whose last reader has not left
        self._changed = threading.Condition()

    @property
    def open_ids(self) -> tuple[str, ...]:
        """Ids of the slides that are open, the longest unused first."""
        with self._changed:
            return tuple(self._entries)

    @contextmanager
    def borrow(self, slide_id: str) -> Generator[BorrowedSlide]:
        """Hold a slide open for as long as the block runs.

        Raises:
            NotFoundError: the catalogue has no such slide, or its file is no longer in its place.
            UnreadableSlideError: the file cannot be opened.
            ConflictError: every place is taken by slides in use.
        """
        self._look_again(slide_id)
        entry, is_new = self._take(slide_id)
        try:
            slide = self._open_first(slide_id, entry) if is_new else self._wait_for(slide_id, entry)
            yield BorrowedSlide(slide, entry.signature)
        finally:
            self._give_back(entry)

    def close(self) -> None:
        """Close every slide; those in use follow when their readers leave."""
        with self._changed:
            for slide_id in list(self._entries):
                self._drop(slide_id)

    def _look_again(self, slide_id: str) -> None:
        """Drop a slide whose file was moved or replaced since it was opened. Looks without holding the lock."""
        now = time.monotonic()
        with self._changed:
            entry = self._entries.get(slide_id)
            if entry is None or entry.slide is None or now - entry.checked_at < CHECK_EVERY_S:
                return
            entry.checked_at = now
        try:
            same = file_signature(entry.place.path) == entry.signature
        except OSError:
            same = False
        if not same:
            with self._changed:
                if self._entries.get(slide_id) is entry:
                    self._drop(slide_id)

    def _take(self, slide_id: str) -> tuple[_Entry, bool]:
        """Return the slide's entry with one reader more, and whether the caller is the one to open it."""
        with self._changed:
            entry = self._entries.get(slide_id)
        place = self._locate(slide_id) if entry is None else entry.place
        with self._changed:
            deadline, is_new = time.monotonic() + WAIT_S, False
            while (entry := self._entries.get(slide_id)) is None:
                if self._make_room():
                    entry, is_new = _Entry(place), True
                    self._entries[slide_id] = entry
                    break
                if not self._changed.wait(deadline - time.monotonic()):
                    raise ConflictError("Too many slides are being read at once. Try again in a moment.")
            entry.readers += 1
            self._entries.move_to_end(slide_id)
            return entry, is_new

    def _make_room(self) -> bool:
        """Close the longest unused slide if every place is taken; tell whether there is a place now."""
        if len(self._entries) + self._leaving >= self._limit:
            idle = next((name for name, entry in self._entries.items() if entry.readers == 0), None)
            if idle is None:
                return False
            self._drop(idle)
        return len(self._entries) + self._leaving < self._limit

    def _wait_for(self, slide_id: str, entry: _Entry) -> DeepZoomSlide:
        """Return the slide that another reader has opened or is opening."""
        with self._changed:
            while entry.slide is None and not entry.replaced:
                self._changed.wait()
            if entry.slide is None:
                raise UnreadableSlideError(f"Slide {slide_id} could not be opened. Reload the page to try again.")
            return entry.slide

    def _open_first(self, slide_id: str, entry: _Entry) -> DeepZoomSlide:
        """Open the slide of a new entry; those who want it too are waiting."""
        try:
            signature = file_signature(entry.place.path)
            slide = self._open(entry.place)
        except BaseException as err:
            with self._changed:
                if self._entries.get(slide_id) is entry:
                    self._drop(slide_id)
            if isinstance(err, OSError) and not isinstance(err, UnreadableSlideError):
                raise NotFoundError(
                    f"The file of slide {slide_id} is no longer where it was added from. "
                    "Put it back, or add the slide again from its new place."
                ) from err
            raise
        with self._changed:
            entry.slide, entry.signature, entry.checked_at = slide, signature, time.monotonic()
            self._changed.notify_all()
        return slide

    def _give_back(self, entry: _Entry) -> None:
        with self._changed:
            entry.readers -= 1
            if entry.readers == 0 and entry.replaced:
                self._leaving -= 1
                self._shut(entry)
            self._changed.notify_all()

    def _drop(self, slide_id: str) -> None:
        """Forget a slide; close it now or when its last reader leaves."""
        entry = self._entries.pop(slide_id)
        entry.replaced = True
        if entry.readers == 0:
            self._shut(entry)
        else:
            self._leaving += 1
        self._changed.notify_all()

    @staticmethod
    def _shut(entry: _Entry) -> None:
        if entry.slide is not None:
            entry.slide.close()

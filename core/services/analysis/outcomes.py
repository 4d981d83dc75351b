"""Which errors are the slide's own doing, and the state they leave the slide in."""

from __future__ import annotations

from core.domain import SlideStatus
from core.errors import MissingMppError, NotApplicableError, SecondReadError, UnreadableSlideError

OF_THE_SLIDE: dict[type[SecondReadError], SlideStatus] = {
    UnreadableSlideError: SlideStatus.UNREADABLE,
    MissingMppError: SlideStatus.NO_MPP,
    NotApplicableError: SlideStatus.NOT_APPLICABLE,
}
"""Any other error is the run's (full disk, altered weights), not the slide's."""


def status_of(err: SecondReadError) -> SlideStatus:
    """Return the state an error leaves a slide in; `FAILED` where the slide is not to blame."""
    return next((status for kind, status in OF_THE_SLIDE.items() if isinstance(err, kind)), SlideStatus.FAILED)

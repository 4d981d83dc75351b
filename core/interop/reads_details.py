"""What a long table may say about a read beside its result: confidence, stage, role, blinding, time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from core.vocabulary import ReadRole

CONFIDENCE = range(1, 6)
"""1 (guess) to 5 (certain)."""

_YES = frozenset({"yes", "true", "1", "y"})
_NO = frozenset({"no", "false", "0", "n"})
_STAGES = ("before_model", "after_model")


@dataclass(frozen=True, slots=True)
class ReadDetails:
    """How a read was made, as far as the file says."""

    grade: str | None = None
    text: str = ""
    confidence: int | None = None
    after_model: bool = False
    role: ReadRole | None = None
    blinded: bool | None = None
    """To the model."""
    submitted_at: datetime | None = None
    seconds: float | None = None


NO_DETAILS = ReadDetails()


def problems_of_details(cells: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (field, sentence) for every cell that cannot be used; empty cells are none."""
    for field, (is_usable, words) in _CHECKS.items():
        text = cells.get(field, "").strip()
        if text and not is_usable(text):
            yield field, f"{text!r} {words}"


def details_of(cells: Mapping[str, str]) -> ReadDetails:
    """Return what cells say that `problems_of_details` found nothing wrong with."""
    text = {field: cell.strip() for field, cell in cells.items()}
    blinded, moment = text.get("blinded", "").casefold(), text.get("submitted_at", "")
    return ReadDetails(
        grade=text.get("grade") or None,
        text=text.get("text", ""),
        confidence=int(float(text["confidence"])) if text.get("confidence") else None,
        after_model=text.get("stage", "").casefold() == "after_model",
        role=ReadRole(text["role"].casefold()) if text.get("role") else None,
        blinded=blinded in _YES if blinded else None,
        submitted_at=_moment(moment) if moment else None,
        seconds=float(text["seconds"]) if text.get("seconds") else None,
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_moment(text: str) -> bool:
    try:
        _moment(text)
    except ValueError:
        return False
    return True


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


_CHECKS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "confidence": (
        lambda text: _number(text) in CONFIDENCE,
        "is no whole number from 1 (guess) to 5 (certain).",
    ),
    "stage": (lambda text: text.casefold() in _STAGES, "is neither before_model nor after_model."),
    "role": (
        lambda text: text.casefold() in {role.value for role in ReadRole},
        f"is none of {', '.join(role.value for role in ReadRole)}.",
    ),
    "blinded": (lambda text: text.casefold() in _YES | _NO, "is neither yes nor no."),
    "submitted_at": (_is_moment, "is no time; write it as 2026-05-31T14:05:00Z."),
    "seconds": (lambda text: 0 <= _number(text) < math.inf, "is no number of seconds."),
}

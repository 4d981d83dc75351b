"""What a reader answers, checked against the reading scheme, and made into a read for the log."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.domain import ReadCategory
from core.errors import InputError
from core.schemes import Scheme
from core.services.rules.scheme_library import find_scheme
from core.settings import Settings
from core.store.records import NewRead, ReadStage
from core.vocabulary import ReadRole

CONFIDENCE = range(1, 6)
"""1 (guess) to 5 (certain)."""
TEXT_LIMIT = 4000
"""Characters of a comment, question or note."""
_CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead a browser's clock may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reader's answer as a form gives it: a plain category, or a code of a scheme that says what category it is."""

    category: ReadCategory | None = None
    scheme: str | None = None
    """Name of a reading scheme; None = the three plain categories."""
    code: str | None = None
    """Code, title or alias of a category of the scheme, or "indeterminate"."""
    grade: str | None = None
    text: str = ""
    confidence: int | None = None
    """1 (guess) to 5 (certain)."""
    opened_at: datetime | None = None
    """When the reader opened the case, in UTC."""
    seconds_on_case: float | None = None


def new_read(
    answer: Answer,
    *,
    scheme: Scheme | None,
    role: ReadRole,
    blinded_to_model: bool,
    blinded_to_first: bool,
    after_model: bool,
) -> NewRead:
    """Return the read that an answer makes.

    Args:
        answer: From the form.
        scheme: The one that the answer names, from `scheme_of`.
        role: In which part the reader read.
        blinded_to_model: Whether the model's result was hidden until now.
        blinded_to_first: Whether everybody else's reads were hidden, or there were none.
        after_model: Whether the reader had been shown the model's result.

    Raises:
        InputError: a part of the answer cannot be used; the sentence says which.
    """
    _check(answer)
    code = None if scheme is None else _code(scheme, answer)
    category = answer.category if scheme is None or code is None else scheme.read_category(code)
    if category is None:
        raise InputError("A read needs a category. Choose one, or say that it is indeterminate.")
    if answer.category not in (None, category):
        raise InputError(
            f"{code!r} of {answer.scheme} means {category.value}, but {answer.category} was given with it. "
            "Leave the category out where a scheme is used."
        )
    return NewRead(
        category=category,
        grade=(answer.grade or "").strip() or None,
        text=answer.text.strip(),
        confidence=answer.confidence,
        stage=ReadStage.AFTER_MODEL if after_model else ReadStage.BEFORE_MODEL,
        role=role,
        scheme=answer.scheme,
        scheme_version=None if scheme is None else scheme.version,
        code=code,
        ordinal=None if scheme is None or code is None else scheme.index(code),
        blinded_to_model=blinded_to_model,
        blinded_to_first=blinded_to_first,
        opened_at=answer.opened_at,
        seconds_on_case=answer.seconds_on_case,
    )


def scheme_of(settings: Settings, answer: Answer) -> Scheme | None:
    """Return the scheme that an answer names, shipped or the department's own.

    Raises:
        NotFoundError: there is none of that name.
    """
    return None if answer.scheme is None else find_scheme(settings, answer.scheme)


def plain_text(text: str, *, what: str, needed: bool = False) -> str:
    """Return a text without outer spaces.

    Raises:
        InputError: it is needed and empty, or too long.
    """
    found = text.strip()
    if needed and not found:
        raise InputError(f"{what} is needed. Write a few words.")
    if len(found) > TEXT_LIMIT:
        raise InputError(f"{what} may have {TEXT_LIMIT} characters; this one has {len(found)}.")
    return found


def _check(answer: Answer) -> None:
    if answer.confidence is not None and answer.confidence not in CONFIDENCE:
        raise InputError(f"The confidence is {answer.confidence}; it must lie between 1 (guess) and 5 (certain).")
    seconds = answer.seconds_on_case
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"The time on the case is {seconds}; it must be a number of seconds, 0 or more.")
    if answer.opened_at is not None and answer.opened_at.tzinfo is None:
        raise InputError("The time at which the case was opened has no time zone.")
    if answer.opened_at is not None and answer.opened_at > datetime.now(UTC) + _CLOCK_SKEW:
        raise InputError(f"The case cannot have been opened at {answer.opened_at:%Y-%m-%d %H:%M}: that is to come.")
    plain_text(answer.text, what="The note")


def _code(scheme: Scheme, answer: Answer) -> str:
    if answer.code is None or not answer.code.strip():
        raise InputError(f"A read by {scheme.title} needs one of its categories: {', '.join(scheme.codes)}.")
    code = scheme.code_of(answer.code)
    if code is None:
        raise InputError(
            f"{answer.code!r} is no category of {scheme.title}. "
            f"Use one of {', '.join(scheme.codes)}, or say that it is indeterminate."
        )
    return code

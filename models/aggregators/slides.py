"""Labelled slides to learn from: what is refused, what is warned of, and how cases are divided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from models.aggregators.cards import ENOUGH_SLIDES
from models.data.splits import Split, check_covers, make_split, read_split, write_split

_FEWEST = 10
"""Slides of each class below which nothing is trained at all."""


@dataclass(frozen=True, slots=True)
class LabelledSlide:
    """One slide to learn from."""

    slide_id: str
    case_id: str
    group: str
    """What must not be divided: the case, or whatever the user states above it (patient, site)."""
    sha256: str
    """Of the slide file."""
    label: bool
    """Whether the target is present."""


def check_slides(slides: Sequence[LabelledSlide], *, few_slides_accepted: bool) -> None:
    """Refuse slides that cannot be learnt from.

    Raises:
        InputError: a slide comes twice; a case or a slide file is in two groups, so that a split would leak; too few
            slides. The ids are named.
    """
    for key, what in (("slide_id", "slide"), ("case_id", "case"), ("sha256", "slide file")):
        groups: defaultdict[str, list[LabelledSlide]] = defaultdict(list)
        for slide in slides:
            groups[getattr(slide, key)].append(slide)
        limit = 1 if key == "slide_id" else None
        wrong = [
            ", ".join(sorted({one.slide_id for one in members}))
            for members in groups.values()
            if (limit and len(members) > limit) or len({one.group for one in members}) > 1
        ]
        if wrong:
            reason = "listed twice" if limit else f"of one {what} but in different groups"
            raise InputError(
                f"These slides are {reason}: {'; '.join(wrong[:10])}. A split would leak; correct the labels file."
            )
    positives = sum(slide.label for slide in slides)
    if min(positives, len(slides) - positives) < _FEWEST:
        raise InputError(
            f"There are {positives} slides with and {len(slides) - positives} without the target; an aggregator needs "
            f"at least {_FEWEST} of each."
        )
    if len(slides) < ENOUGH_SLIDES and not few_slides_accepted:
        raise InputError(
            f"{len(slides)} slides are too few: below {ENOUGH_SLIDES:,} a trained aggregator follows chance as much as "
            "disease. To try it all the same, with a warning on every result, add --few-slides-accepted."
        )


def few_slides_warning(slides: Sequence[LabelledSlide]) -> str:
    """Return the sentence that goes into card, result and page; empty where there are enough slides."""
    if len(slides) >= ENOUGH_SLIDES:
        return ""
    positives = sum(slide.label for slide in slides)
    return (
        f"Trained on only {len(slides)} slides ({positives} with the target): below {ENOUGH_SLIDES:,} such scores "
        "follow chance as much as disease."
    )


def columns_of(slides: Sequence[LabelledSlide]) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
    """Return label and group of every slide."""
    return np.array([slide.label for slide in slides]), np.array([slide.group for slide in slides])


def rows_of_groups(groups: NDArray[np.str_], chosen: Sequence[str]) -> NDArray[np.intp]:
    """Return the rows whose group is among those chosen."""
    return np.flatnonzero(np.isin(groups, list(chosen)))


def read_given_split(path: Path, groups: NDArray[np.str_]) -> Split:
    """Return the division of groups into parts that a user wants obeyed.

    Raises:
        InputError: the file cannot be read, leaks, or does not cover the groups; the ids are named.
    """
    split = read_split(path)
    check_covers(split, set(groups.tolist()))
    return split


def obtain_split(path: Path, *, labels: NDArray[np.bool_], groups: NDArray[np.str_], seed: int) -> Split:
    """Return the division kept in a file; where there is none, divide at random and keep it there.

    Raises:
        InputError: too few groups, or the file belongs to other slides.
    """
    if not path.exists():
        shares = {str(group): float(labels[groups == group].mean()) for group in np.unique(groups)}
        write_split(make_split(shares, seed=seed), path)
    return read_given_split(path, groups)

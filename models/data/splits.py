"""Division of patients into training, validation and test, kept in a file so that it never changes unnoticed."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import InputError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint sets of groups (patients). Building one with a group in two parts is refused."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        leaks: list[str] = []
        for part in PARTS:
            for group in self.part(part):
                if group in seen:
                    leaks.append(f"{group} ({seen[group]} and {part})")
                seen[group] = part
        if leaks:
            raise InputError(f"The split leaks: {', '.join(leaks)}. A patient must be in one part, once.")

    def part(self, name: str) -> tuple[str, ...]:
        """Return the groups of "train", "validation" or "test"."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def make_split(positive_share: Mapping[str, float], *, seed: int, validation: float = 0.2, test: float = 0.2) -> Split:
    """Divide groups at random, so that parts resemble each other in how much target class their groups hold.

    Groups are ordered by their share of positive patches; each run of ten neighbours is shuffled and dealt out in the
    wanted proportions.

    Args:
        positive_share: Group -> share of its patches that are of the target class, 0-1.
        seed: The same seed and groups give the same split.
        validation: Share of the groups for selection, early stopping and calibration.
        test: Share of the groups for the final measurement only.

    Raises:
        InputError: too few groups to fill three parts.
    """
    random = np.random.default_rng(seed)
    ordered = sorted(positive_share, key=lambda group: (positive_share[group], group))
    dealt: dict[str, list[str]] = {part: [] for part in PARTS}
    wanted = np.array([1 - validation - test, validation, test])
    for start in range(0, len(ordered), 10):
        neighbours = ordered[start : start + 10]
        for index in random.permutation(len(neighbours)):
            counts = np.array([len(dealt[part]) for part in PARTS])
            owed = wanted * (counts.sum() + 1) - counts
            dealt[PARTS[int(owed.argmax())]].append(neighbours[int(index)])
    if not all(dealt.values()):
        raise InputError(f"{len(ordered)} patients are too few for a training, a validation and a test part.")
    return Split(*(tuple(sorted(dealt[part])) for part in PARTS))


def make_folds(
    positive_share: Mapping[str, float], *, folds: int, seed: int, validation: float = 0.15
) -> tuple[Split, ...]:
    """Divide groups for cross-validation: every group is measured (part "test") in exactly one of the splits.

    What remains of each split is divided once more into training and an inner validation part, from which thresholds
    and the best epoch may come: nothing is ever chosen on the groups that are measured.

    Args:
        positive_share: Group -> share of its patches that are of the target class, 0-1.
        folds: Number of splits, at least 2.
        seed: The same seed and groups give the same folds.
        validation: Share of the groups not measured that becomes the inner validation part.

    Raises:
        InputError: fewer than 2 folds, or too few groups.
    """
    return tuple(
        _with_inner_validation(
            {group: share for group, share in positive_share.items() if group not in test}, set(test), validation, seed
        )
        for test in deal(positive_share, folds=folds, seed=seed)
    )


def deal(positive_share: Mapping[str, float], *, folds: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Deal groups out to folds of nearly equal size that resemble each other in their share of the target class.

    Raises:
        InputError: fewer than 2 folds, or fewer than 3 groups for each.
    """
    if folds < 2:
        raise InputError(f"Cross-validation needs at least 2 folds, got {folds}.")
    ordered = sorted(positive_share, key=lambda group: (positive_share[group], group))
    if len(ordered) < 3 * folds:
        raise InputError(f"{len(ordered)} patients are too few for {folds} folds with a validation part each.")
    random = np.random.default_rng(seed)
    dealt: list[list[str]] = [[] for _ in range(folds)]
    for start in range(0, len(ordered), folds):  # neighbours in the share of the target go to different folds
        neighbours = ordered[start : start + folds]
        for group, fold in zip(neighbours, random.permutation(folds), strict=False):
            dealt[int(fold)].append(group)
    return tuple(tuple(sorted(fold)) for fold in dealt)


def _with_inner_validation(rest: Mapping[str, float], test: set[str], validation: float, seed: int) -> Split:
    ordered = sorted(rest, key=lambda group: (rest[group], group))
    wanted = max(1, round(validation * len(ordered)))
    random = np.random.default_rng((seed, len(ordered)))
    runs = np.array_split(np.arange(len(ordered)), wanted)
    chosen = {ordered[int(random.choice(run))] for run in runs}
    return Split(tuple(sorted(set(rest) - chosen)), tuple(sorted(chosen)), tuple(sorted(test)))


def write_split(split: Split, path: Path) -> None:
    """Write a CSV with the columns group and part, sorted by part and group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("group", "part"))
        writer.writerows((group, part) for part in PARTS for group in split.part(part))


def read_split(path: Path) -> Split:
    """Read a split written by `write_split`.

    Raises:
        InputError: the file cannot be read as a split, or a group stands in it twice; the ids are named.
    """
    return _split_of(_rows(path), path)


def write_folds(folds: Sequence[Split], path: Path) -> None:
    """Write the splits of a cross-validation as a CSV with the columns fold (from 1), group and part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("fold", "group", "part"))
        for number, split in enumerate(folds, start=1):
            writer.writerows((number, group, part) for part in PARTS for group in split.part(part))


def read_folds(path: Path) -> tuple[Split, ...]:
    """Read splits written by `write_folds`.

    Raises:
        InputError: the file cannot be read as folds; within one a group stands twice; or a group is not measured in
            exactly one of them. The ids are named.
    """
    rows = _rows(path)
    numbers = sorted({str(row.get("fold") or "") for _, row in rows}, key=lambda text: (len(text), text))
    if len(numbers) < 2 or numbers != [str(number) for number in range(1, len(numbers) + 1)]:
        got = ", ".join(map(repr, numbers)) or "none"
        raise InputError(f"{path} must hold two folds or more, numbered 1, 2, 3 and so on; got {got}.")
    folds = tuple(_split_of([row for row in rows if row[1].get("fold") == number], path) for number in numbers)
    groups = {group for split in folds for part in PARTS for group in split.part(part)}
    measured = Counter(group for split in folds for group in split.test)
    wrong = sorted(group for group in groups if measured[group] != 1)
    if wrong:
        raise InputError(f"Each patient must be measured in one fold of {path}, once: {', '.join(wrong[:10])}.")
    for split in folds:
        check_covers(split, groups)
    return folds


_Row = tuple[int, Mapping[str, str | None]]
"""Number of the line and its cells."""


def _rows(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(enumerate(csv.DictReader(file), start=2))
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"The split {path} cannot be read as a CSV with the columns group and part.") from err


def _split_of(rows: Sequence[_Row], path: Path) -> Split:
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for number, row in rows:
        group, part = row.get("group"), row.get("part")
        if not group or part not in parts:
            raise InputError(f"Line {number} of {path} needs a group and a part ({', '.join(PARTS)}); got {part!r}.")
        parts[part].append(group)
    return Split(*(tuple(parts[part]) for part in PARTS))


def check_covers(split: Split, groups: Collection[str]) -> None:
    """Refuse a split that was made for other data.

    Raises:
        InputError: groups of the data are missing from the split, or the other way round; up to ten are named.
    """
    known = {*split.train, *split.validation, *split.test}
    for missing, where in ((set(groups) - known, "split"), (known - set(groups), "data")):
        if missing:
            named = ", ".join(sorted(missing)[:10])
            raise InputError(f"{len(missing)} patients are not in the {where}: {named}. Split and data do not match.")

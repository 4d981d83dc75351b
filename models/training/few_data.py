"""Says when there are too few patients or slides to learn a class from."""

from __future__ import annotations

from models.data.patches import Patches

TOO_FEW = 10
FEW = 20
"""Slides or patients a class; 10 to 20 is what practice asks for at the least before a classifier of patches is worth
training. Patches of one slide look alike, so their number does not help."""


def few_data_warnings(train: Patches) -> tuple[str, ...]:
    """Return a sentence for every class that fewer than 20 groups of the training part show."""
    found: list[str] = []
    for index, name in enumerate(train.classes):
        groups = len({group for group, label in zip(train.groups, train.labels, strict=True) if label == index})
        if groups < FEW:
            judgement = "too few for more than a try" if groups < TOO_FEW else "few"
            found.append(
                f"Class {name} was learnt from {groups} patients, slides or other groups: {judgement} "
                f"({TOO_FEW} to {FEW} a class are the least)."
            )
    return tuple(found)

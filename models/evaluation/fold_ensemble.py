"""An ensemble whose members were trained on different folds of the patients, and how it is calibrated and measured.

    python -m models.evaluation.fold_ensemble CONFIG.toml [--only K] [--join FOLDER]

The training and validation patients of the split are divided into four folds, and each of at most four members learns
from all folds but its own. So every one of these patients teaches some member, and there are still patients that a
member has never seen: what it says about those chooses its temperature and the thresholds. The test patients are left
out of all of it and measured once, at the end.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.evaluation.binary import BoolArray, FloatArray, best_threshold
from models.cards import Metrics, ModelCard, list_cards, write_card
from models.data.patches import Patches, read_patches
from models.data.splits import Split, check_covers, deal, read_split
from models.device import choose_device
from models.evaluation.cross_validation import share_of_target
from models.evaluation.measuring import Thresholds, measure, measure_scores, shows_target
from models.evaluation.metrics import mean_red_darkness
from models.registry import load_model
from models.training.calibration import Calibration, fit_calibration, sharpened
from models.training.checkpoint import FitState
from models.training.config import TrainingConfig, read_config
from models.training.export import draft_card, export_member
from models.training.fitting import fit
from models.training.inputs import predict_views
from models.training.progress import Moment
from models.training.slide_threshold import choose_slide_threshold

FOLDS = 4
"""Each member learns from three quarters of the patients, as many as the training part of a plain split holds."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What one member learns from, and the patients it never sees."""

    train: Patches
    own: Patches


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """What the members say about the patients they never saw."""

    patches: Patches
    """All folds one after the other."""
    probabilities: FloatArray
    """(N, C), calibrated."""
    calibrations: tuple[Calibration, ...]
    """One a member."""


def folds_of(config: TrainingConfig, patches: Patches, split: Split) -> tuple[Fold, ...]:
    """Divide the training and validation patients into folds alike in how much target they hold; one a member.

    Raises:
        InputError: more members than folds.
    """
    if config.members > FOLDS:
        raise InputError(f"members is {config.members}; there are {FOLDS} folds, and one member for each at most.")
    pool = patches.select(patches.of_groups((*split.train, *split.validation)))
    shares = share_of_target(pool, positive=config.positive_indices)
    return tuple(
        Fold(pool.select(~pool.of_groups(own)), pool.select(pool.of_groups(own)))
        for own in deal(shares, folds=FOLDS, seed=config.seed)[: config.members]
    )


def fit_member(config: TrainingConfig, fold: Fold, *, index: int) -> FitState:
    """Train one member, go on with it after a kill, or read it if it is finished."""
    config.output.mkdir(parents=True, exist_ok=True)
    return fit(
        replace(config, seed=config.member_seeds[index], members=1, isometries=1),  # views come after training
        fold.train,
        fold.own,
        checkpoint=config.output / f"fold-{index}.pt",
        progress=_log,
    )


def out_of_fold(config: TrainingConfig, states: Sequence[FitState], folds: Sequence[Fold]) -> OutOfFold:
    """Predict every patient with the one member that never saw it, calibrated on that member's own fold."""
    device = choose_device()
    calibrations: list[Calibration] = []
    probabilities: list[FloatArray] = []
    for state, fold in zip(states, folds, strict=True):
        views = predict_views(
            state.average,
            fold.own.images,
            config=config,
            scale=state.scale,
            device=device,
            views=config.isometries,
        )
        calibration = fit_calibration(views[0], fold.own.labels, with_prior=config.balance != "none")
        if config.isometries > 1:
            (calibration,) = sharpened([calibration], [views], fold.own.labels)
        calibrations.append(calibration)
        probabilities.append(np.mean([calibration.probabilities(view) for view in views], axis=0))
    return OutOfFold(_joined([fold.own for fold in folds]), np.concatenate(probabilities), tuple(calibrations))


def export_ensemble(config: TrainingConfig, patches: Patches, split: Split, *, join: Path | None = None) -> ModelCard:
    """Write weights and card of the finished members into the output folder, a registry root.

    The thresholds and the metrics called "validation" are those of the single members on patients they never saw; the
    metrics called "test" are those of the whole ensemble, as users will run it.

    Args:
        config: Of the members.
        patches: The whole data set.
        split: Its test part is measured once, at the end.
        join: Output folder of another training on the same split, whose networks are added.

    Raises:
        InputError: the model to join is made for other classes or tiles.
    """
    folds = folds_of(config, patches, split)
    states = [fit_member(config, fold, index=index) for index, fold in enumerate(folds)]
    unseen = out_of_fold(config, states, folds)
    truth = shows_target(unseen.patches.labels, positive_index=config.positive_indices)
    positive = unseen.probabilities[:, list(config.positive_indices)].sum(axis=1)
    groups, darkness = np.array(unseen.patches.groups), mean_red_darkness(unseen.patches.images)
    thresholds = Thresholds(*(round(robust_threshold(truth, s, groups), 4) for s in (positive, darkness)))
    of_slides = choose_slide_threshold(positive, truth=truth, groups=groups)
    members = tuple(
        export_member(config, state, calibration, file=f"{config.name}-{index}.safetensors")
        for index, (state, calibration) in enumerate(zip(states, unseen.calibrations, strict=True), start=1)
    )
    draft = draft_card(config, split, states, members=members, warnings=patches.warnings)
    card = replace(
        draft,
        split=_split_words(config, split),
        training=draft.training.replace("second-read train with", "python -m models.evaluation.fold_ensemble with"),
        threshold=thresholds.model,
        slide_threshold=of_slides.value,
        slide_threshold_note=of_slides.words,
        metrics=measure_scores(
            truth, positive, unseen.patches, name="validation", thresholds=thresholds, draws=config.bootstrap_draws
        ),
    )
    if join is not None:
        card = joined(card, _only_card(join))
        for member in card.members[len(members) :]:
            shutil.copyfile(join / "weights" / member.weights, config.output / "weights" / member.weights)
        thresholds = replace(thresholds, model=card.threshold)
    path = config.output / "cards" / f"{config.name}.toml"
    write_card(card, path)
    if config.evaluate_test:
        card = replace(card, metrics={**card.metrics, **_of_test(config, patches, split, thresholds)})
        write_card(card, path)
    return card


def joined(card: ModelCard, other: ModelCard) -> ModelCard:
    """Add the networks of another model.

    No patients are left that none of the networks has seen, so the thresholds are the mean of those that each network
    got on patients it had not seen: averaging probabilities averages the levels at which they are best parted.

    Raises:
        InputError: the two are made for other classes or tiles.
    """
    if (card.classes, card.mpp, card.tile_px) != (other.classes, other.mpp, other.tile_px):
        raise InputError(f"The model {other.title!r} cannot be joined: its classes or tiles are others.")
    counts = (len(card.members), len(other.members))

    def mean(name: str) -> float:
        values = (float(getattr(card, name)), float(getattr(other, name)))
        return round(float(np.average(values, weights=counts)), 4)

    architectures = ", ".join(member.architecture for member in other.members)
    return replace(
        card,
        members=(*card.members, *other.members),
        threshold=mean("threshold"),
        slide_threshold=mean("slide_threshold"),
        slide_threshold_note=f"Mean over the networks. {counts[0]} of {sum(counts)}: {card.slide_threshold_note} "
        f"{counts[1]} of {sum(counts)}: {other.slide_threshold_note}",
        training=f"{card.training} Joined by {architectures}: {other.training}",
    )


def _only_card(root: Path) -> ModelCard:
    found = list_cards(root=root)
    if len(found) != 1:
        raise InputError(f"{root} holds {len(found)} model cards; the output folder of one training holds one.")
    return found[0]


def robust_threshold(truth: BoolArray, score: FloatArray, groups: NDArray[np.str_], *, draws: int = 200) -> float:
    """Return the median of the best thresholds over bootstrap samples of patients: one patient cannot move it far."""
    random = np.random.default_rng(0)
    members: list[NDArray[np.intp]] = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    found: list[float] = []
    while len(found) < draws:
        drawn: list[int] = random.integers(len(members), size=len(members)).tolist()
        rows = np.concatenate([members[index] for index in drawn])
        if 0 < truth[rows].sum() < len(rows):
            found.append(best_threshold(truth[rows], score[rows]))
    return float(np.median(found))


def _of_test(config: TrainingConfig, patches: Patches, split: Split, thresholds: Thresholds) -> Metrics:
    return measure(
        load_model(config.name, root=config.output),
        patches.select(patches.of_groups(split.test)),
        name="test",
        positive_index=config.positive_indices,
        thresholds=thresholds,
        draws=config.bootstrap_draws,
    )


def _split_words(config: TrainingConfig, split: Split) -> str:
    pool = len(split.train) + len(split.validation)
    return (
        f"By patient, in {config.split.name}: {pool} to train and select, divided into {FOLDS} folds; each of the "
        f"{config.members} networks learnt from all folds but its own, on which it was selected and calibrated, and "
        f"the figures called validation are those of single networks on patients they never saw. {len(split.test)} "
        "more to measure the ensemble."
    )


def _joined(parts: Sequence[Patches]) -> Patches:
    return replace(
        parts[0],
        images=np.concatenate([part.images for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        groups=tuple(group for part in parts for group in part.groups),
    )


def _log(moment: Moment) -> None:
    if moment.sentence:
        _LOG.info("%s", moment.sentence)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.evaluation.fold_ensemble")
    parser.add_argument("config", type=Path)
    parser.add_argument("--only", type=int, help="train this member only, counted from 0, and write no card")
    parser.add_argument("--join", type=Path, help="output folder of another training, whose networks are added")
    options = parser.parse_args()
    only: int | None = options.only
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    config = read_config(options.config)
    patches = read_patches(config.data, layout=config.layout, classes=config.classes, tile_px=config.tile_px)
    split = read_split(config.split)
    check_covers(split, set(patches.groups))
    if only is not None:
        fit_member(config, folds_of(config, patches, split)[only], index=only)
    else:
        export_ensemble(config, patches, split, join=options.join)


if __name__ == "__main__":
    main()

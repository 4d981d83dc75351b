"""From fitted networks to what users run: calibrated weights, thresholds, measurements and the card."""

# pyright: reportUnknownMemberType=false
# Reason: torch is typed in part only.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from core.domain import Stain
from models.cards import Member, ModelCard, write_card
from models.data.patches import Patches
from models.data.splits import Split
from models.device import choose_device
from models.evaluation.measuring import choose_thresholds, measure, predict_positive
from models.networks import ARCHITECTURES
from models.registry import load_model, save_weights
from models.training.calibration import Calibration, fit_calibration, sharpened
from models.training.checkpoint import FitState
from models.training.config import TrainingConfig
from models.training.inputs import predict_views
from models.training.slide_threshold import choose_slide_threshold


def calibrate(config: TrainingConfig, states: Sequence[FitState], validation: Patches) -> tuple[Calibration, ...]:
    """Calibrate each network on the validation patients, then all of them together as they will be averaged.

    Each gets its temperature, and where class balance shifted the prior its bias.
    """
    device = choose_device()
    logits = [
        predict_views(
            state.average,
            validation.images,
            config=config,
            scale=state.scale,
            device=device,
            views=config.isometries,
        )
        for state in states
    ]
    with_prior = config.balance != "none"
    members = tuple(fit_calibration(views[0], validation.labels, with_prior=with_prior) for views in logits)
    if len(members) == 1 and config.isometries == 1:
        return members
    return sharpened(members, logits, validation.labels)


def calibrated_weights(state: FitState, config: TrainingConfig, calibration: Calibration) -> dict[str, Tensor]:
    """Return the best weights with the calibration's bias in the last layer: the card's temperature does the rest."""
    weights = dict(state.best_weights)
    name = f"{ARCHITECTURES[config.architecture].head}.bias"
    bias = torch.tensor(calibration.bias_before_temperature, dtype=weights[name].dtype, device=weights[name].device)
    weights[name] = weights[name] + bias
    return weights


def export(
    config: TrainingConfig,
    states: Sequence[FitState],
    *,
    parts: Mapping[str, Patches],
    split: Split,
    warnings: Sequence[str],
) -> ModelCard:
    """Write weights and card; the numbers on the card are those of the exported model, as users will run it."""
    validation, positive = parts["validation"], config.positive_indices
    calibrations = calibrate(config, states, validation)
    members = [
        export_member(config, state, calibration, file=_file_name(config, index))
        for index, (state, calibration) in enumerate(zip(states, calibrations, strict=True))
    ]
    card = draft_card(config, split, states, members=tuple(members), warnings=tuple(warnings))
    path = config.output / "cards" / f"{config.name}.toml"
    write_card(card, path)
    model = load_model(config.name, root=config.output)
    thresholds = choose_thresholds(model, validation, positive_index=positive)
    metrics: dict[str, Mapping[str, Mapping[str, float]]] = {}
    for part in ("validation", "test") if config.evaluate_test else ("validation",):
        metrics |= measure(
            model,
            parts[part],
            name=part,
            positive_index=positive,
            thresholds=thresholds,
            draws=config.bootstrap_draws,
        )
    of_slides = choose_slide_threshold(
        predict_positive(model, validation, positive_index=positive),
        truth=np.isin(validation.labels, positive),
        groups=np.array(validation.groups),
    )
    card = replace(
        card,
        threshold=thresholds.model,
        slide_threshold=of_slides.value,
        slide_threshold_note=of_slides.words,
        metrics=metrics,
    )
    write_card(card, path)
    return card


def _file_name(config: TrainingConfig, index: int) -> str:
    return f"{config.name}.safetensors" if config.members == 1 else f"{config.name}-{index + 1}.safetensors"


def export_member(config: TrainingConfig, state: FitState, calibration: Calibration, *, file: str) -> Member:
    """Write the weights of one network into the output folder and return what the card says about it."""
    digest = save_weights(calibrated_weights(state, config, calibration), config.output / "weights" / file)
    return Member(
        architecture=config.architecture,
        input_px=config.input_px,
        weights=file,
        sha256=digest,
        temperature=calibration.temperature,
        mean_255=state.scale.mean_255,
        std_255=state.scale.std_255,
    )


def draft_card(
    config: TrainingConfig,
    split: Split,
    states: Sequence[FitState],
    *,
    members: tuple[Member, ...],
    warnings: tuple[str, ...],
) -> ModelCard:
    """Return the card without thresholds and metrics, which only the finished model can give."""
    texts = config.card
    return ModelCard(
        name=config.name,
        title=texts.title,
        target=texts.target,
        positive_classes=config.targets,
        positive_title=texts.positive_title,
        normal_class=texts.normal_class,
        classes=config.classes,
        tissue=texts.tissue,
        stain=tuple(Stain(stain) for stain in texts.stain),
        for_slides=texts.for_slides,
        for_slides_note=texts.for_slides_note,
        mpp=config.mpp,
        mpp_note=texts.mpp_note,
        tile_um=config.tile_px * config.mpp,
        tile_px=config.tile_px,
        isometries=config.isometries,
        threshold=0.5,
        slide_threshold=0.5,
        slide_threshold_note="Not chosen yet.",
        data=texts.data,
        licence_of_data=texts.licence_of_data,
        split=f"By patient or group: {len(split.train)} to train, {len(split.validation)} to select and calibrate, "
        f"{len(split.test)} to measure, in {config.split.name}.",
        training=_how(config, states),
        limits=(*texts.limits, *warnings),
        created=datetime.now(UTC).date().isoformat(),
        members=members,
        metrics={},
    )


def _how(config: TrainingConfig, states: Sequence[FitState]) -> str:
    epochs = ", ".join(f"{state.best_epoch} of {len(state.history)}" for state in states)
    seeds = ", ".join(map(str, config.member_seeds))
    several = len(states) > 1
    balance = "" if config.balance == "none" else f", class balance by {config.balance} with the prior brought back"
    words = states[0].start_words
    return (
        f"{words[:1].upper()}{words[1:]}, {'epochs' if several else 'epoch'} {epochs} by validation "
        f"{config.criterion}, {'seeds' if several else 'seed'} {seeds}{balance}; second-read train with the "
        f"configuration {config.name}.toml."
    )

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
from models.cards import ModelCard, write_card
from models.data.patches import Patches
from models.data.splits import Split
from models.device import choose_device
from models.evaluation.measuring import choose_thresholds, measure, predict_positive
from models.networks import ARCHITECTURES
from models.registry import load_model, save_weights
from models.training.calibration import Calibration, fit_calibration
from models.training.checkpoint import FitState
from models.training.config import TrainingConfig
from models.training.fitting import predict_logits
from models.training.slide_threshold import choose_slide_threshold


def calibrate(state: FitState, config: TrainingConfig, validation: Patches) -> Calibration:
    """Fit temperature, and where class balance shifted the prior the bias, on the validation patients."""
    logits = predict_logits(state.average, validation.images, config=config, scale=state.scale, device=choose_device())
    return fit_calibration(logits, validation.labels, with_prior=config.balance != "none")


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
    (state,) = states
    validation, positive = parts["validation"], config.positive_indices
    calibration = calibrate(state, config, validation)
    weights = f"{config.name}.safetensors"
    digest = save_weights(calibrated_weights(state, config, calibration), config.output / "weights" / weights)
    card = _draft_card(config, split, state, weights=weights, digest=digest, temperature=calibration.temperature)
    card = replace(card, limits=(*card.limits, *warnings))
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


def _draft_card(
    config: TrainingConfig, split: Split, state: FitState, *, weights: str, digest: str, temperature: float
) -> ModelCard:
    texts = config.card
    return ModelCard(
        name=config.name,
        title=texts.title,
        target=texts.target,
        positive_class=config.targets[0],
        positive_title=texts.positive_title,
        normal_class=texts.normal_class,
        classes=config.classes,
        tissue=texts.tissue,
        stain=tuple(Stain(stain) for stain in texts.stain),
        mpp=config.mpp,
        mpp_note=texts.mpp_note,
        tile_um=config.tile_px * config.mpp,
        tile_px=config.tile_px,
        input_px=config.input_px,
        architecture=config.architecture,
        weights=weights,
        weights_sha256=digest,
        temperature=round(temperature, 4),
        threshold=0.5,
        slide_threshold=0.5,
        slide_threshold_note="Not chosen yet.",
        mean_255=state.scale.mean_255,
        std_255=state.scale.std_255,
        data=texts.data,
        licence_of_data=texts.licence_of_data,
        split=f"By patient: {len(split.train)} to train, {len(split.validation)} to select and calibrate, "
        f"{len(split.test)} to measure, in {config.split.name}.",
        training=f"From {state.start_words}, epoch {state.best_epoch} of {len(state.history)} by validation "
        f"{config.criterion}, seed {config.seed}; second-read train with the configuration {config.name}.toml.",
        metrics={},
        limits=texts.limits,
        created=datetime.now(UTC).date().isoformat(),
    )

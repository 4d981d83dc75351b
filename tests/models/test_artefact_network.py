"""The shipped artefact network: its card, its figures, and what it makes of a few real pictures."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from core.domain import Stain
from core.qc.classes import CLASSES as QC_CLASSES
from models.artefacts.classes import CLASSES
from models.artefacts.defocus import gaussian
from models.artefacts.sources import IDC_MPP, REGION_MPP, Source, is_clean
from models.artefacts.tiles import TILE_PX, Look, TileMaker
from models.cards import SHIPPED, load_card
from models.data.splits import read_split
from models.evaluation.artefact_features import features, forest_probabilities
from models.evaluation.artefact_real import BY_EYE, read_rgb
from models.evaluation.artefact_scores import class_scores
from models.evaluation.artefact_sets import cut_windows, windows
from models.evaluation.artefact_shares import RESULTS
from models.evaluation.artefact_table import MARKERS
from models.evaluation.artefacts import FIGURES, table
from models.evaluation.measuring import predict_probabilities
from models.registry import load_model
from models.torch_model import TorchTileModel
from tests.models.artefact_kit import tissue

SPLIT = SHIPPED / "cards" / "artefacts_split.csv"


@cache
def network() -> TorchTileModel:
    return load_model("artefacts", device="cpu")  # refuses weights whose digest is not the card's


@cache
def breast(root: Path) -> tuple[Source, ...]:
    """Clean patches of twelve test patients."""
    found = []
    for group in [name for name in read_split(SPLIT).test if name.startswith("idc/")][:12]:
        files = sorted((root / "idc" / group.partition("/")[2]).glob("*/*.png"))[:6]
        images = [np.asarray(Pillow.open(file).convert("RGB")) for file in files]
        clean = tuple(image for image in images if image.shape == (50, 50, 3) and is_clean(image))
        found.append(Source("idc", group, clean, IDC_MPP))
    return tuple(source for source in found if source.images)


def test_the_card_says_what_it_is_for_and_what_it_does_not_know() -> None:
    card = load_card("artefacts")
    assert card.classes == CLASSES == tuple(kind.value for kind in QC_CLASSES)
    assert card.normal_class == "clean"
    assert card.positive_classes == CLASSES[1:]
    assert set(card.stain) == {Stain.HE, Stain.IHC}
    assert (card.tile_px, card.mpp, card.for_slides) == (TILE_PX, 2.0, True)
    assert any("simulated" in limit for limit in card.limits)
    assert any("recolouring" in limit for limit in card.limits)


def test_weights_stay_small() -> None:
    total = sum(path.stat().st_size for path in (SHIPPED / "weights").glob("artefacts*.safetensors"))
    assert total < 15e6


def test_the_tables_in_the_readme_are_those_of_the_stored_figures() -> None:
    text = (SHIPPED / "README.md").read_text()
    begin, end = MARKERS
    assert text.split(begin)[1].split(end)[0].strip() == table().strip()


def test_the_stored_figures_are_those_of_the_shipped_weights() -> None:
    figures = json.loads((RESULTS / FIGURES).read_text())
    assert figures["weights_sha256"] == load_card("artefacts").weights_sha256
    assert figures["network"]["rest_mean"]["value"] > figures["by_hand"]["rest_mean"]["value"]


def test_it_tells_simulated_artefacts_of_unseen_patients(real_data: Path) -> None:
    maker = TileMaker(breast(real_data), {"idc": 1.0})
    labels = np.repeat(np.arange(8), [56, *[8] * 7])
    tiles = [
        maker.one(int(label), np.random.default_rng((77, row)), look=Look(glass_share=0.0)).image
        for row, label in enumerate(labels)
    ]
    p = predict_probabilities(network(), np.stack(tiles))
    found = class_scores(labels, p, np.arange(len(labels)).astype(str), draws=10)
    assert found["any"]["value"] >= 0.93
    assert found["rest_mean"]["value"] >= 0.93


def test_it_tells_sharp_breast_patches_from_blurred_ones(real_data: Path) -> None:
    images = [image for source in breast(real_data) for image in source.images][:40]
    pad = ((7, 7), (7, 7), (0, 0))
    sharp = np.stack([np.pad(image, pad, mode="symmetric") for image in images])
    soft = np.stack([gaussian(image.astype(np.float32), sigma_px=2).astype(np.uint8) for image in sharp])
    called = [predict_probabilities(network(), tiles).argmax(1) for tiles in (sharp, soft)]
    assert (called[0] == 0).mean() >= 0.9
    assert (called[1] == CLASSES.index("out_of_focus")).mean() >= 0.8


def test_the_real_slide_is_not_condemned(real_data: Path) -> None:
    region = read_rgb(real_data / "slides" / "CMU-1-Small-Region.svs")[1780:]  # below what was trained on
    side = (round(region.shape[1] * REGION_MPP / 2), round(region.shape[0] * REGION_MPP / 2))
    tiles, _ = cut_windows(np.asarray(Pillow.fromarray(region).resize(side, Pillow.Resampling.BOX)))
    assert (predict_probabilities(network(), tiles).argmax(1) == 0).mean() >= 0.9


def test_what_was_seen_by_eye_is_of_patients_that_were_not_trained_on(real_data: Path) -> None:
    with (RESULTS / BY_EYE).open() as file:
        rows = list(csv.DictReader(file))
    trained = set(read_split(SPLIT).train)
    assert not {f"idc/{row['file'].split('/')[0]}" for row in rows} & trained
    assert all((real_data / "idc" / row["file"]).is_file() for row in rows)
    assert len({row["file"] for row in rows}) == len(rows)


def test_windows_cover_a_picture_to_its_last_pixel() -> None:
    seen = np.zeros((150, 97), int)
    for y, x in windows(150, 97):
        seen[y : y + TILE_PX, x : x + TILE_PX] += 1
    assert seen.min() >= 1
    tiles, corners = cut_windows(np.zeros((40, 200, 3), np.uint8))
    assert tiles.shape == (len(corners), TILE_PX, TILE_PX, 3)
    assert corners[-1] == (0, 136)


def test_scores_are_those_of_a_hand_count() -> None:
    labels = np.array([0, 0, 1, 2])
    p = np.full((4, 8), 0.01)
    p[0, 0] = p[1, 0] = p[2, 1] = 0.9
    p[3, 0], p[3, 2] = 0.5, 0.2  # a fold that is called clean
    for kind in range(3, 8):
        labels = np.append(labels, kind)
        p = np.vstack([p, np.full(8, 0.01)])
        p[-1, kind] = 0.9
    found = {name: entry["value"] for name, entry in class_scores(labels, p, np.arange(9).astype(str), draws=5).items()}
    assert found["sensitivity"] == pytest.approx(6 / 7, abs=1e-4)
    assert found["specificity"] == 1
    assert found["accuracy"] == pytest.approx(8 / 9, abs=1e-4)
    assert found["any"] == 1
    assert found["rest_mean"] == 1
    assert found["clean_fold"] == 1


def test_the_baseline_by_hand_sees_blur_and_ink() -> None:
    sharp = tissue(side=64).astype(np.uint8)
    soft = gaussian(sharp.astype(np.float32), sigma_px=3).astype(np.uint8)
    green = sharp.copy()
    green[20:40] = (20, 160, 90)
    described = np.stack([features(image) for image in (sharp, soft, green)])
    assert np.isfinite(described).all()
    assert (described[1] != described[0]).any()
    tiles = np.stack([sharp, soft, green] * 4)
    p = forest_probabilities(tiles, np.array([0, 1, 2] * 4), tiles[:3], seed=0)
    assert p.argmax(axis=1).tolist() == [0, 1, 2]

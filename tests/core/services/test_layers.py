"""What lies on a slide: the grid of tile values, the outline of a mask, the galleries."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from people_kit import CLERK

from core.domain import SlideStatus, Stain
from core.errors import NotFoundError
from core.qc.classes import ARTEFACTS
from core.services.analysis.run_files import RunFolder
from core.services.catalogue import SlideRequest, add_slides
from core.services.viewing.gallery import GalleryKind, gallery
from core.services.viewing.layers import (
    DISAGREEMENT_MAP,
    NO_TILE,
    QUALITY_MAP,
    STEPS,
    artefact_legend,
    class_names,
    coarser_map,
    disagreement_layer,
    has_quality_map,
    lattice_of,
    model_layer,
    quality_layer,
)
from core.services.viewing.outline import rings_of
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.records import RunResult, SlideFacts
from core.store.results import save_run


def table(rows: list[tuple[int, int, float]], *, size: int = 100) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["x", "y", "prob_tumour"])
    return frame.assign(width=size, height=size, prob_benign=1 - frame["prob_tumour"])


def unpacked(content: bytes) -> tuple[dict[str, object], np.ndarray]:
    raw = gzip.decompress(content)
    length = int.from_bytes(raw[:4], "little")
    header = json.loads(raw[4 : 4 + length])
    shape = (-1, len(header["edges_y"]) - 1, len(header["edges_x"]) - 1)
    return header, np.frombuffer(raw[4 + length :], "<u2").reshape(shape)


@pytest.fixture
def run(settings: Settings) -> RunFolder:
    return RunFolder.of(settings, "one", "run-1")


def test_model_layer_places_every_tile(settings: Settings, run: RunFolder) -> None:
    run.write_tiles(table([(0, 0, 0.25), (100, 0, 0.5), (0, 100, 1.0), (200, 100, 0.0)]))
    header, planes = unpacked(model_layer(settings, "one", "run-1"))
    assert header["classes"] == ["tumour", "benign"]
    assert (header["edges_x"], header["edges_y"]) == ([0, 100, 200, 300], [0, 100, 200])
    none = NO_TILE
    assert planes[0].tolist() == [[round(0.25 * STEPS), STEPS // 2, none], [STEPS, none, 0]]
    assert planes[1].tolist() == [[round(0.75 * STEPS), STEPS // 2, none], [0, none, STEPS]]
    assert class_names(settings, "one", "run-1") == ("tumour", "benign")


def test_overlapping_tiles_give_their_mean() -> None:
    lattice = lattice_of(table([(0, 0, 0.2), (50, 0, 0.6)]))
    assert lattice.edges_x.tolist() == [0, 50, 100, 150]
    assert lattice.mean(np.array([0.2, 0.6])).tolist() == [pytest.approx([0.2, 0.4, 0.6])]


def test_rounded_positions_make_no_slivers_and_a_tile_starts_where_it_starts() -> None:
    lattice = lattice_of(table([(0, 0, 0), (101, 0, 0), (200, 0, 0), (500, 0, 0)]))
    assert lattice.edges_x.tolist() == [0, 101, 200, 300, 500, 600]
    assert np.isnan(lattice.mean(np.zeros(4))).tolist() == [[False, False, False, True, False]]


def test_layers_of_runs_that_are_not_there(settings: Settings) -> None:
    for name in ("run-1", "..", "../x", ".hidden", ""):
        with pytest.raises(NotFoundError):
            model_layer(settings, "one", name)
    assert class_names(settings, "one", "run-1") == ()


@pytest.fixture
def mapped(settings: Settings, tmp_path: Path, run: RunFolder) -> RunFolder:
    """A slide of 1,000 x 500 px with a map of 4 x 3 px."""
    (tmp_path / "one.svs").write_bytes(b"not looked at here")
    add_slides(settings, [SlideRequest(tmp_path / "one.svs", None, None, Stain.HE, None, None)], actor=CLERK)
    facts = SlideFacts(width=1000, height=500)
    result = RunResult(
        run_id="run-1", slide_id="one", model="m", status=SlideStatus.OK, created_at=datetime.now(UTC), facts=facts
    )
    with open_log(settings) as database, writing(database):
        save_run(database, result)
    return run


def test_quality_layer_covers_the_slide_and_keeps_the_codes(settings: Settings, mapped: RunFolder) -> None:
    with pytest.raises(NotFoundError, match="artefact map"):
        quality_layer(settings, "one", "run-1")
    with pytest.raises(NotFoundError, match="artefact map"):
        quality_layer(settings, "one", "../run-1")
    mapped.write_image(QUALITY_MAP, np.array([[255, 0, 1, 7], [255, 2, 3, 0], [255, 255, 255, 6]], np.uint8))
    header, planes = unpacked(quality_layer(settings, "one", "run-1"))
    assert (header["edges_x"], header["edges_y"]) == ([0, 250, 500, 750, 1000], [0, 167, 333, 500])
    none = NO_TILE
    assert planes[0].tolist() == [[none, 0, 1, 7], [none, 2, 3, 0], [none, none, none, 6]]
    assert has_quality_map(settings, "one", "run-1")
    with pytest.raises(NotFoundError, match="artefact map"):
        disagreement_layer(settings, "one", "run-1")
    mapped.write_image(DISAGREEMENT_MAP, np.array([[255, 2], [255, 255]], np.uint8))
    assert unpacked(disagreement_layer(settings, "one", "run-1"))[1][0].tolist() == [[none, 2], [none, none]]


@pytest.mark.parametrize("shape", [(7, 5), (100, 33), (8, 8), (1, 64)])
def test_a_coarser_map_loses_no_artefact_and_invents_none(shape: tuple[int, int]) -> None:
    labels = np.full(shape, 255, np.uint8)
    labels[shape[0] // 2 :] = 0
    labels[-1, -1], labels[0, 0] = 3, 7
    coarse = coarser_map(labels, longest_px=8)
    assert max(coarse.shape) <= 8
    assert set(np.unique(coarse)) <= set(np.unique(labels))
    assert (coarse[-1, -1], coarse[0, 0]) == (3, 7)
    assert coarser_map(labels, longest_px=200) is labels


def test_legend_names_every_artefact_and_its_area_where_measured() -> None:
    report = {"classes": {"fold": {"mm2": 0.5, "fraction_of_tissue": 0.1}}}
    legend = artefact_legend(report)
    assert [entry.key for entry in legend] == [kind.value for kind in ARTEFACTS]
    assert [entry.code for entry in legend] == [1, 2, 3, 4, 5, 6, 7]
    assert len({entry.colour for entry in legend}) == len(legend)
    areas = {entry.key: (entry.area_mm2, entry.fraction_of_tissue) for entry in legend}
    assert areas["fold"] == (0.5, 0.1)
    assert areas["pen"] == (None, None)
    assert {entry.area_mm2 for entry in artefact_legend(None)} == {None}


def shoelace(ring: list[list[float]]) -> float:
    points = np.array(ring)
    return float((points[:-1, 0] * points[1:, 1] - points[1:, 0] * points[:-1, 1]).sum() / 2)


def test_outline_of_a_block_with_a_hole() -> None:
    mask = np.zeros((12, 14), bool)
    mask[2:10, 3:12] = True
    mask[4:8, 5:9] = False
    rings = rings_of(mask, scale=(10, 20))
    assert all(ring[0] == ring[-1] for ring in rings)
    outer, hole = sorted(rings, key=lambda ring: -abs(shoelace(ring)))
    assert shoelace(outer) > 0 > shoelace(hole), "holes run the other way"
    xs, ys = np.array(outer).T
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (30, 120, 40, 200)
    # Each of the four cut corners takes away an eighth of a pixel.
    assert shoelace(outer) == (8 * 9 - 4 / 8) * 200
    assert shoelace(hole) == -(4 * 4 - 4 / 8) * 200


def test_outline_of_any_mask_is_closed_and_keeps_its_area() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        mask = rng.random((15, 11)) < 0.5
        rings = rings_of(mask, scale=(1, 1))
        assert all(ring[0] == ring[-1] for ring in rings)
        assert sum(map(shoelace, rings)) == pytest.approx(mask.sum(), abs=0.5 * len(rings) + 12)
    assert rings_of(np.zeros((3, 3), bool), scale=(1, 1)) == []


def test_galleries_choose_and_order(settings: Settings, run: RunFolder) -> None:
    values = [0.1, 0.9, 0.52, 0.3, 0.99, 0.45]
    run.write_tiles(table([(100 * i, 0, value) for i, value in enumerate(values)]))
    found = gallery(settings, "one", "run-1", class_name="tumour", threshold=0.5, size=3)
    assert [tile.region.x for tile in found[GalleryKind.SUSPICIOUS]] == [400, 100, 200]
    assert [tile.region.x for tile in found[GalleryKind.UNCERTAIN]] == [200, 500, 300]
    assert found == gallery(settings, "one", "run-1", class_name="tumour", threshold=0.5, size=3)
    assert len({tile.region.x for tile in found[GalleryKind.RANDOM]}) == 3

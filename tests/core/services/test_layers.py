"""What lies on a slide: the grid of tile values, the outline of a mask, the galleries."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from core.errors import NotFoundError
from core.services.gallery import GalleryKind, gallery
from core.services.layers import NO_TILE, STEPS, class_names, lattice_of, model_layer, quality_layer
from core.services.outline import rings_of
from core.services.run_files import RunFolder
from core.settings import Settings


def table(rows: list[tuple[int, int, float, int]], *, size: int = 100) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["x", "y", "prob_tumour", "qc_artefact"])
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
    run.write_tiles(table([(0, 0, 0.25, 0), (100, 0, 0.5, 1), (0, 100, 1.0, 2), (200, 100, 0.0, 0)]))
    header, planes = unpacked(model_layer(settings, "one", "run-1"))
    assert header["classes"] == ["tumour", "benign"]
    assert (header["edges_x"], header["edges_y"]) == ([0, 100, 200, 300], [0, 100, 200])
    none = NO_TILE
    assert planes[0].tolist() == [[round(0.25 * STEPS), STEPS // 2, none], [STEPS, none, 0]]
    assert planes[1].tolist() == [[round(0.75 * STEPS), STEPS // 2, none], [0, none, STEPS]]
    _, quality = unpacked(quality_layer(settings, "one", "run-1"))
    assert quality[0].tolist() == [[0, 1, none], [2, none, 0]]
    assert class_names(settings, "one", "run-1") == ("tumour", "benign")


def test_overlapping_tiles_give_their_mean() -> None:
    lattice = lattice_of(table([(0, 0, 0.2, 0), (50, 0, 0.6, 0)]))
    assert lattice.edges_x.tolist() == [0, 50, 100, 150]
    assert lattice.mean(np.array([0.2, 0.6])).tolist() == [pytest.approx([0.2, 0.4, 0.6])]


def test_rounded_positions_make_no_slivers_and_a_tile_starts_where_it_starts() -> None:
    lattice = lattice_of(table([(0, 0, 0, 0), (101, 0, 0, 0), (200, 0, 0, 0), (500, 0, 0, 0)]))
    assert lattice.edges_x.tolist() == [0, 101, 200, 300, 500, 600]
    assert np.isnan(lattice.mean(np.zeros(4))).tolist() == [[False, False, False, True, False]]


def test_layers_of_runs_that_are_not_there(settings: Settings, run: RunFolder) -> None:
    for name in ("run-1", "..", "../x", ".hidden", ""):
        with pytest.raises(NotFoundError):
            model_layer(settings, "one", name)
    assert class_names(settings, "one", "run-1") == ()
    run.write_tiles(table([(0, 0, 0.5, 0)]).drop(columns="qc_artefact"))
    with pytest.raises(NotFoundError, match="artefact map"):
        quality_layer(settings, "one", "run-1")


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
    run.write_tiles(table([(100 * i, 0, value, 0) for i, value in enumerate(values)]))
    found = gallery(settings, "one", "run-1", class_name="tumour", threshold=0.5, size=3)
    assert [tile.region.x for tile in found[GalleryKind.SUSPICIOUS]] == [400, 100, 200]
    assert [tile.region.x for tile in found[GalleryKind.UNCERTAIN]] == [200, 500, 300]
    assert found == gallery(settings, "one", "run-1", class_name="tumour", threshold=0.5, size=3)
    assert len({tile.region.x for tile in found[GalleryKind.RANDOM]}) == 3

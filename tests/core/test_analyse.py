"""The analysis of one slide with a model in numpy: where values end up, what is resumed, what is left on the disk."""

from __future__ import annotations

import gzip
import json
import resource
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import FakeModel, write_pyramid
from numpy.typing import NDArray

from core.domain import Region, SlideStatus
from core.errors import CancelledError, NotFoundError, StorageError
from core.qc.artefact_map import ArtefactMap
from core.qc.classes import ArtefactClass
from core.services.analysis.run_files import RunFolder
from core.services.analysis.tile_results import analyse_tiles
from core.services.viewing.gallery import GalleryKind, gallery
from core.services.viewing.layers import class_names, model_layer
from core.settings import Settings
from core.slides import open_slide
from core.store.records import CARRYING_ARTEFACT, WITHOUT_ARTEFACT, RunResult
from core.tissue import TissueMask
from models.cards import ModelCard, load_card

WIDTH, HEIGHT = 2200, 1460
"""At 0.5 um/px: 9 columns and 6 rows of tiles of 128 um (256 px); the last column and row are cut off."""
TILE = 256
COLUMNS, ROWS = 9, 6


def texture(height: int, width: int, *, colour: tuple[int, int, int], seed: int) -> NDArray[np.uint8]:
    """Sharp, stained-looking texture."""
    rng = np.random.default_rng(seed)
    return (np.array(colour) + rng.normal(0, 22, (height, width, 1))).clip(0, 255).astype(np.uint8)


def pale_slide() -> NDArray[np.uint8]:
    """Tissue from edge to edge."""
    return texture(HEIGHT, WIDTH, colour=(208, 150, 190), seed=1)


def mark(image: NDArray[np.uint8], column: int, row: int, *, sharp: bool = True) -> NDArray[np.uint8]:
    """Darken exactly one tile."""
    part = image[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
    part[:] = texture(*part.shape[:2], colour=(78, 36, 110), seed=2) if sharp else (78, 36, 110)
    return image


@pytest.fixture
def card() -> ModelCard:
    """The card of the numpy model: tiles of 128 um at 2 um/px."""
    return replace(
        load_card("idc"),
        name="fake",
        classes=("benign", "tumour"),
        positive_classes=("tumour",),
        normal_class="benign",
        mpp=2.0,
        tile_um=128.0,
        tile_px=64,
        slide_threshold=0.5,
    )


def artefact_map(spoilt: Iterable[tuple[int, int]]) -> ArtefactMap:
    """Return a map of 32 px cells, all tissue, with some tiles (column, row) out of focus."""
    shape = (-(-HEIGHT // 32), -(-WIDTH // 32))
    labels = np.zeros(shape, np.uint8)
    for column, row in spoilt:
        labels[row * 8 : (row + 1) * 8, column * 8 : (column + 1) * 8] = ArtefactClass.OUT_OF_FOCUS.code
    return ArtefactMap(labels, np.ones(shape, np.bool_), (32.0, 32.0), 16.0, labels)


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs the analysis of one picture in a home of its own."""

    settings: Settings
    card: ModelCard
    slides: Path

    @property
    def folder(self) -> RunFolder:
        return RunFolder.of(self.settings, "s", "r1")

    def analyse(
        self,
        image: NDArray[np.uint8],
        *,
        model: FakeModel | None = None,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        tissue: bool = True,
        spoilt: Iterable[tuple[int, int]] = (),
    ) -> RunResult:
        path = self.slides / "s.tif"
        if not path.exists():
            write_pyramid(path, image)
        run = RunResult(
            run_id="r1",
            slide_id="s",
            model="fake",
            status=SlideStatus.OK,
            created_at=datetime.now(UTC),
            threshold=self.card.slide_threshold,
        )
        with open_slide(path) as reader:
            mpp = reader.info.mpp
            assert mpp is not None
            height, width = -(-HEIGHT // 32), -(-WIDTH // 32)
            area = mpp.area_mm2(WIDTH * HEIGHT) if tissue else 0.0
            mask = TissueMask(np.full((height, width), tissue), (32.0, 32.0), area)
            return analyse_tiles(
                self.settings,
                self.card,
                model or FakeModel(),
                run,
                reader,
                mpp,
                mask,
                artefacts=artefact_map(spoilt),
                folder=self.folder,
                progress=progress,
                cancelled=cancelled,
            )


@pytest.fixture
def bench(settings: Settings, card: ModelCard, tmp_path: Path) -> Bench:
    return Bench(replace(settings, batch_size=8), card, tmp_path)


CORNERS = {
    "top left": (0, 0),
    "top right": (COLUMNS - 1, 0),
    "bottom left": (0, ROWS - 1),
    "bottom right": (COLUMNS - 1, ROWS - 1),
}


@pytest.mark.parametrize(("column", "row"), CORNERS.values(), ids=CORNERS.keys())
def test_a_dark_corner_ends_in_that_corner(column: int, row: int, bench: Bench) -> None:
    run = bench.analyse(mark(pale_slide(), column, row))
    assert (run.tiles_total, run.tiles_kept, run.tiles_dropped) == (54, 54, {"background": 0})

    # In the table: at the marked tile's level-0 place.
    assert run.peak == Region(column * TILE, row * TILE, TILE, TILE)
    tiles = bench.folder.read_tiles()
    darkest = tiles.loc[tiles["prob_tumour"].idxmax()]
    assert (darkest["x"], darkest["y"]) == (column * TILE, row * TILE)
    assert tiles[["x", "y"]].to_numpy().tolist() == [[c * TILE, r * TILE] for r in range(ROWS) for c in range(COLUMNS)]

    # In the picture: over the marked tile's pixels, up to the slide's very corner, and nowhere else.
    heatmap = bench.folder.read_image("heatmap.png")
    height, width = heatmap.shape[:2]
    assert (width, height) == (1024, round(HEIGHT * 1024 / WIDTH))
    xs = (np.arange(width) + 0.5) * WIDTH / width
    ys = (np.arange(height) + 0.5) * HEIGHT / height
    inside = ((ys // TILE) == row)[:, None] & ((xs // TILE) == column)[None, :]
    green = heatmap[..., 1].astype(int)
    assert inside[0 if row == 0 else -1, 0 if column == 0 else -1]
    assert len(np.unique(green[inside])) == 1
    assert green[inside].max() < green[~inside].min()
    assert (heatmap[..., 3] > 0).all(), "tissue without a value"


def test_the_peak_is_the_darkest_tile_and_the_scores_follow_from_the_table(bench: Bench) -> None:
    run = bench.analyse(mark(mark(pale_slide(), 3, 2), 6, 4)[:, ::-1].copy()[:, ::-1].copy())
    tiles = bench.folder.read_tiles()
    tumour = tiles["prob_tumour"].to_numpy()
    assert run.scores["max"]["tumour"] == pytest.approx(tumour.max())
    assert run.scores["mean"]["tumour"] == pytest.approx(tumour.mean(), abs=1e-6)
    # 2 % of 54 tiles are fewer than three, so the three darkest count.
    assert run.scores["top_k_mean"]["tumour"] == pytest.approx(np.sort(tumour)[-3:].mean(), abs=1e-6)
    assert run.decision_score == run.scores["top_k_mean"]["tumour"]
    assert run.peak == Region(*(int(tiles.loc[tumour.argmax(), name]) for name in ("x", "y", "width", "height")))
    assert (tiles["prob_benign"] + tiles["prob_tumour"]).to_numpy() == pytest.approx(1, abs=1e-6)
    assert (run.device, run.status) == ("numpy", SlideStatus.OK)


@pytest.mark.parametrize(("marks", "label"), [(3, "tumour"), (0, "benign")])
def test_the_label_follows_the_threshold_of_the_card(marks: int, label: str, bench: Bench) -> None:
    image = pale_slide()
    for column in range(marks):
        mark(image, 2 + column, 3)
    run = bench.analyse(image)
    assert run.label == label
    assert run.decision_score is not None
    assert (run.decision_score >= 0.5) is (label == "tumour")


def test_artefact_counts_where_it_carries_the_call_and_the_call_without_it_is_kept(bench: Bench) -> None:
    """Three dark tiles out of focus carry a positive call; without them nothing speaks for a tumour."""
    image, spoilt = pale_slide(), ((2, 3), (4, 3), (6, 3))
    for column, row in spoilt:
        mark(image, column, row, sharp=False)
    run = bench.analyse(image, spoilt=spoilt)
    assert run.label == "tumour"
    assert run.qc is not None
    tiles = bench.folder.read_tiles()
    assert tiles.loc[tiles["qc_artefact"] > 0, "qc_artefact"].tolist() == [ArtefactClass.OUT_OF_FOCUS.code] * 3
    assert (tiles["qc_usable"] == 0).sum() == 3
    assert run.qc[CARRYING_ARTEFACT] == 1.0
    without = run.settings[WITHOUT_ARTEFACT]
    assert isinstance(without, dict)
    assert (without["tiles_left_out"], without["tiles_used"]) == (3, 51)
    assert set(without["scores"]) == set(run.scores)
    assert run.decision_score is not None
    assert without["decision_score"] < 0.5 <= run.decision_score


def test_without_artefact_both_scores_are_the_same(bench: Bench) -> None:
    run = bench.analyse(mark(pale_slide(), 1, 1))
    without = run.settings[WITHOUT_ARTEFACT]
    assert isinstance(without, dict)
    assert without["scores"] == {rule: pytest.approx(found["tumour"]) for rule, found in run.scores.items()}


def test_where_every_tile_is_spoilt_there_is_no_score_without_artefact(bench: Bench) -> None:
    everywhere = [(column, row) for column in range(COLUMNS) for row in range(ROWS)]
    without = bench.analyse(pale_slide(), spoilt=everywhere).settings[WITHOUT_ARTEFACT]
    assert without == {"tiles_left_out": 54, "tiles_used": 0, "scores": {}, "decision_score": None}


def test_a_negative_call_is_carried_by_all_of_the_tissue(bench: Bench) -> None:
    top = [(column, row) for column in range(COLUMNS) for row in range(3)]
    run = bench.analyse(pale_slide(), spoilt=top)
    assert run.label == "benign"
    assert run.qc is not None
    assert run.qc[CARRYING_ARTEFACT] == pytest.approx(0.5)


def test_a_mask_without_tissue_is_refused(bench: Bench) -> None:
    run = bench.analyse(pale_slide(), tissue=False)
    assert (run.status, run.tiles_total, run.tiles_kept) == (SlideStatus.NO_TISSUE, 54, 0)
    assert run.message.startswith("No tile of 128 um")
    assert not (bench.folder.path / "tiles.parquet").exists()


# ----------------------------------------------------------------------------------------- a target of several classes


class TwoTumours(FakeModel):
    """Darkness is tumour; which of two kinds, it can hardly tell, and the left of the slide not as the right."""

    classes = ("benign", "adeno", "squamous")

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        benign, dark = super().predict(tiles).T
        red, blue = tiles[..., 0].mean(axis=(1, 2)), tiles[..., 2].mean(axis=(1, 2))
        share = np.where(red > blue, 0.55, 0.45).astype(np.float32)
        return np.stack([benign, dark * share, dark * (1 - share)], axis=1)


@pytest.fixture
def of_two(bench: Bench, card: ModelCard) -> Bench:
    several = {"classes": TwoTumours.classes, "positive_classes": TwoTumours.classes[1:]}
    return replace(bench, card=replace(card, **several, slide_threshold=0.6))


def half_and_half() -> NDArray[np.uint8]:
    """Three dark reddish tiles and three dark bluish ones."""
    image = pale_slide()
    for column in range(6):
        colour = (110, 30, 78) if column < 3 else (78, 30, 110)
        image[3 * TILE : 4 * TILE, column * TILE : (column + 1) * TILE] = texture(
            TILE, TILE, colour=colour, seed=column
        )
    return image


def test_a_target_of_two_classes_is_called_by_their_sum_which_neither_reaches(of_two: Bench) -> None:
    run = of_two.analyse(half_and_half(), model=TwoTumours())
    tiles = of_two.folder.read_tiles()
    both = tiles["prob_adeno"] + tiles["prob_squamous"]
    assert run.decision_score == pytest.approx(both.nlargest(3).mean(), abs=1e-6)
    assert run.decision_score > 0.6 > max(run.scores["max"]["adeno"], run.scores["max"]["squamous"])
    strongest = max(("adeno", "squamous"), key=lambda name: run.scores["top_k_mean"][name])
    assert run.label == strongest
    assert set(run.scores["top_k_mean"]) == {"benign", "adeno", "squamous"}
    peak = tiles.loc[both.idxmax()]
    assert run.peak == Region(*(int(peak[name]) for name in ("x", "y", "width", "height")))


def test_below_the_threshold_the_label_is_no_part_of_the_target(of_two: Bench) -> None:
    run = of_two.analyse(pale_slide(), model=TwoTumours())
    assert (run.label, run.status) == ("benign", SlideStatus.OK)


def test_the_sum_of_the_targets_is_a_column_a_layer_a_gallery_and_the_heatmap(of_two: Bench) -> None:
    of_two.analyse(half_and_half(), model=TwoTumours())
    tiles = of_two.folder.read_tiles()
    name = "adeno + squamous"
    np.testing.assert_allclose(tiles[f"target_{name}"], tiles["prob_adeno"] + tiles["prob_squamous"], atol=1e-6)
    assert class_names(of_two.settings, "s", "r1") == ("benign", "adeno", "squamous", name)
    raw = gzip.decompress(model_layer(of_two.settings, "s", "r1"))
    length = int.from_bytes(raw[:4], "little")
    assert json.loads(raw[4 : 4 + length])["classes"] == ["benign", "adeno", "squamous", name]
    planes = np.frombuffer(raw[4 + length :], "<u2").reshape(4, -1).astype(int)
    assert np.abs(planes[1] + planes[2] - planes[3]).max() <= 1  # each is rounded to 1 of 65,534 steps
    for class_name in ("adeno", name):
        tile = gallery(of_two.settings, "s", "r1", class_name=class_name, threshold=0.5)[GalleryKind.SUSPICIOUS][0]
        column = f"target_{name}" if class_name == name else "prob_adeno"
        assert tile.probability == pytest.approx(tiles[column].max())
    with pytest.raises(NotFoundError, match="no probability of 'other'; they have benign, adeno, squamous, adeno"):
        gallery(of_two.settings, "s", "r1", class_name="other", threshold=0.5)
    heatmap = of_two.folder.read_image("heatmap.png")
    darkest = tiles.loc[tiles[f"target_{name}"].idxmax()]
    scale = heatmap.shape[1] / WIDTH
    x, y = (int((darkest[at] + TILE / 2) * scale) for at in ("x", "y"))
    assert heatmap[y, x, 1] == heatmap[..., 1].min()


def test_one_target_class_adds_no_column(bench: Bench) -> None:
    bench.analyse(pale_slide())
    assert class_names(bench.settings, "s", "r1") == ("benign", "tumour")


# ------------------------------------------------------------------------------------------------- cancel and resume


class CountingModel(FakeModel):
    """Counts the tiles it is shown."""

    def __init__(self) -> None:
        self.seen = 0

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(tiles)
        return super().predict(tiles)


def cancel_after(batches: int) -> Callable[[], bool]:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > batches

    return cancelled


@pytest.fixture
def eager_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every batch; on these small slides ten seconds would never pass."""
    monkeypatch.setattr("core.services.analysis.tile_results.CHECKPOINT_EVERY_S", 0.0)


@pytest.mark.usefixtures("eager_checkpoints")
def test_a_cancelled_run_leaves_a_checkpoint_and_goes_on_to_the_same_result(
    bench: Bench, card: ModelCard, tmp_path: Path
) -> None:
    image = mark(pale_slide(), 5, 4)
    with pytest.raises(CancelledError):
        bench.analyse(image, cancelled=cancel_after(3))
    assert sorted(path.name for path in bench.folder.path.iterdir()) == ["checkpoint.npz"]
    with np.load(bench.folder.path / "checkpoint.npz") as kept:
        assert kept["probabilities"].shape == (24, 2)
    assert bench.folder.read_checkpoint(key="of another run") is None

    second, told = CountingModel(), list[tuple[int, int]]()
    resumed = bench.analyse(image, model=second, progress=lambda done, total: told.append((done, total)))
    assert second.seen == 54 - 24
    assert (told[0], told[-1]) == ((32, 54), (54, 54))

    other = Bench(Settings(home=tmp_path / "other", batch_size=8), card, tmp_path)
    straight = other.analyse(image)
    assert resumed.scores == straight.scores
    assert resumed.qc == straight.qc
    pd.testing.assert_frame_equal(bench.folder.read_tiles(), other.folder.read_tiles(), check_exact=True)
    assert (bench.folder.path / "heatmap.png").read_bytes() == (other.folder.path / "heatmap.png").read_bytes()


@pytest.mark.usefixtures("eager_checkpoints")
def test_a_checkpoint_of_another_grid_is_not_used(bench: Bench, card: ModelCard, tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        bench.analyse(pale_slide(), cancelled=cancel_after(4))
    fine = replace(card, tile_um=512.0, tile_px=256)
    model = CountingModel()
    run = Bench(bench.settings, fine, tmp_path).analyse(pale_slide(), model=model)
    # 1,024 px tiles: three columns and two rows, and the last column hangs over the edge with 15 % of it on the slide.
    assert (run.tiles_total, run.tiles_kept, model.seen) == (6, 4, 4)


@pytest.mark.usefixtures("eager_checkpoints")
def test_a_checkpoint_of_a_grid_with_more_tiles_is_not_used_either(bench: Bench) -> None:
    """The user corrects the scale, or sets another stride, between the kill and the next attempt."""
    image = mark(pale_slide(), 1, 0)
    with pytest.raises(CancelledError):
        bench.analyse(image, cancelled=cancel_after(3))
    half = replace(bench, settings=replace(bench.settings, stride_um=64.0))
    run = half.analyse(image)
    assert run.peak == Region(TILE, 0, TILE, TILE)


# -------------------------------------------------------------------------------------------------- files of the run


def test_nothing_half_written_is_left(bench: Bench) -> None:
    bench.analyse(pale_slide())
    assert sorted(path.name for path in bench.folder.path.iterdir()) == ["heatmap.png", "tiles.parquet"]


def test_a_results_folder_that_cannot_be_made_is_a_plain_sentence(bench: Bench) -> None:
    bench.settings.home.mkdir()
    (bench.settings.home / "results").write_text("in the way")
    with pytest.raises(StorageError, match=r"results/s/r1/tiles\.parquet cannot be written"):
        bench.analyse(pale_slide())


@contextmanager
def files_up_to(size: int) -> Generator[None]:
    """Let the system refuse every write beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes")
def test_a_write_that_breaks_off_keeps_the_file_that_was_there(bench: Bench) -> None:
    bench.analyse(pale_slide())
    before = (bench.folder.path / "tiles.parquet").read_bytes()
    with files_up_to(2048), pytest.raises(StorageError, match="cannot be written"):
        bench.analyse(pale_slide())
    assert (bench.folder.path / "tiles.parquet").read_bytes() == before
    assert not list(bench.folder.path.glob("*.part"))

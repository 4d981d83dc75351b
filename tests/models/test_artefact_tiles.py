"""From clean sources to labelled tiles, and the training command on them: seeded, divided by source, resumable."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from core.errors import InputError
from models.artefacts.classes import CLASSES, SIMULATIONS
from models.artefacts.sources import Source, TilePlan, is_clean, read_sources, tissue_share
from models.artefacts.tiles import CORE_SHARE, TILE_PX, Look, TileMaker, camera, cut, mosaic, with_artefact
from models.data.artefact_tiles import read_artefact_tiles
from models.data.patches import Patches
from models.data.splits import PARTS, read_split
from models.registry import load_model
from models.training.config import TrainingConfig, read_config
from models.training.inputs import images_of
from models.training.run import train
from tests.models.artefact_kit import tissue, write_sources

PLAN = TilePlan(region="slides/region.png", region_bands=5, tiles=210, prevalence=0.75)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder)
    return folder


@pytest.fixture(scope="module")
def maker(root: Path) -> TileMaker:
    return TileMaker(read_sources(root, PLAN)[0], PLAN.weights)


@pytest.fixture(scope="module")
def pool(root: Path) -> Patches:
    return read_artefact_tiles(root, PLAN, classes=CLASSES, tile_px=TILE_PX, seed=3)


def test_every_group_is_read_once_with_its_kind(maker: TileMaker) -> None:
    kinds = [source.kind for source in maker.sources]
    assert (kinds.count("idc"), kinds.count("lung"), kinds.count("region")) == (8, 8, 5)
    assert len({source.group for source in maker.sources}) == 21
    bands = [source.images[0] for source in maker.sources if source.kind == "region"]
    assert sum(band.shape[0] for band in bands) == 640


def test_the_hash_follows_the_pixels(root: Path, tmp_path: Path) -> None:
    first = read_sources(root, PLAN)[1]
    assert read_sources(root, PLAN)[1] == first
    write_sources(tmp_path)
    file = next((tmp_path / "idc").glob("*/*/*.png"))
    image = np.asarray(Pillow.open(file)).copy()
    image[0, 0] += 1
    Pillow.fromarray(image).save(file)
    assert read_sources(tmp_path, PLAN)[1] != first


def test_patches_with_ink_or_edges_are_no_clean_source() -> None:
    clean = tissue(side=50).astype(np.uint8)
    assert is_clean(clean)
    for colour in ((10, 10, 10), (20, 140, 120), (40, 60, 190), (150, 150, 150), (170, 120, 20)):
        spoilt = clean.copy()
        spoilt[:8] = colour
        assert not is_clean(spoilt), colour


@pytest.fixture
def with_seen(root: Path, tmp_path: Path) -> TilePlan:
    rows = [("100/0/100_idx5_x51_y51_class0.png", "fold"), ("101/0/101_idx5_x101_y51_class0.png", "doubtful")]
    path = tmp_path / "seen.csv"
    path.write_text("file,seen\n" + "".join(f"{file},{seen}\n" for file, seen in rows))
    assert all((root / "idc" / file).exists() for file, _ in rows)
    return replace(PLAN, seen=str(path), real_share=1.0)


def test_what_a_person_saw_is_not_clean_and_real_for_its_own_patient_only(root: Path, with_seen: TilePlan) -> None:
    before = {source.group: source for source in read_sources(root, PLAN)[0]}
    sources, digest = read_sources(root, with_seen)
    after = {source.group: source for source in sources}
    assert digest != read_sources(root, PLAN)[1]
    assert [len(after[group].images) - len(before[group].images) for group in ("idc/100", "idc/101")] == [-1, -1]
    assert [kind for kind, _ in after["idc/100"].seen] == ["fold"]
    maker = TileMaker(sources, PLAN.weights, real_share=1.0)
    fold, pen = CLASSES.index("fold"), CLASSES.index("pen")
    assert {maker.one(fold, np.random.default_rng(seed)).group for seed in range(8)} == {"idc/100"}
    assert len({maker.one(pen, np.random.default_rng(seed)).group for seed in range(8)}) > 1
    others = maker.of_groups({"idc/102", "lung/lung_n/g1"})
    assert {others.one(fold, np.random.default_rng(seed)).group for seed in range(8)} <= {"idc/102", "lung/lung_n/g1"}


def test_a_real_example_is_shown_as_it_is(root: Path, with_seen: TilePlan) -> None:
    maker = TileMaker(read_sources(root, with_seen)[0], PLAN.weights, real_share=1.0)
    ((_, real),) = maker.sources[[source.group for source in maker.sources].index("idc/100")].seen
    shown = [maker.one(CLASSES.index("fold"), np.random.default_rng(seed)).image for seed in range(8)]
    assert np.mean([image.mean() for image in shown]) == pytest.approx(real.mean(), abs=12)


def test_a_list_that_cannot_be_read_is_named(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "seen.csv"
    with pytest.raises(InputError, match=r"seen\.csv"):
        read_sources(root, replace(PLAN, seen=str(path)))
    path.write_text("name\na.png\n")
    with pytest.raises(InputError, match="columns file and seen"):
        read_sources(root, replace(PLAN, seen=str(path)))


def test_the_shipped_list_names_patches_of_training_patients_only() -> None:
    folder = Path(__file__).parents[2] / "models"
    config = read_config(folder / "configs" / "artefacts.toml")
    assert config.artefacts is not None
    train = set(read_split(config.split).train)
    with Path(config.artefacts.seen).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 200
    assert {f"idc/{row['file'].split('/')[0]}" for row in rows} <= train
    assert {row["seen"] for row in rows} <= {*CLASSES[1:], "doubtful"}


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="idc"):
        read_sources(tmp_path, PLAN)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"tiles": 0}, "tiles"),
        ({"real_share": 2.0}, "real_share"),
        ({"prevalence": 1.0}, "prevalence"),
        ({"weights": {"cat": 1.0}}, "weights"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word):
        replace(PLAN, **change)


def test_tiles_follow_from_their_seed(maker: TileMaker) -> None:
    labels = np.arange(len(CLASSES))
    first, again, other = (maker.draw(labels, seed=(seed, 1)) for seed in (5, 5, 6))
    assert first.shape == (8, TILE_PX, TILE_PX, 3)
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert all((first[row] != other[row]).any() for row in range(8))
    assert maker.draw(labels[:0], seed=(1,)).shape == (0, TILE_PX, TILE_PX, 3)


def test_a_maker_of_a_part_uses_the_sources_of_that_part_only(maker: TileMaker) -> None:
    part = maker.of_groups({"idc/100", "lung/lung_n/g1"})
    groups = {part.one(0, np.random.default_rng(seed), look=Look(glass_share=0.0)).group for seed in range(40)}
    assert groups == {"idc/100", "lung/lung_n/g1"}


def test_an_artefact_lies_plainly_in_the_middle_half() -> None:
    middle = slice((88 - TILE_PX // 2) // 2, (88 + TILE_PX // 2) // 2)
    clean = tissue()
    for name, simulation in SIMULATIONS.items():
        shown = [
            np.abs(with_artefact(clean, simulation, np.random.default_rng(seed)) - clean)[middle, middle].max(axis=-1)
            for seed in range(6)
        ]
        assert np.mean([(moved > 2).mean() >= CORE_SHARE for moved in shown]) == 1, name


def test_wanted_looks_are_obeyed(maker: TileMaker) -> None:
    blue = [maker.one(0, np.random.default_rng(s), look=Look(ihc=True, glass_share=0.0)).image for s in range(12)]
    pink = [maker.one(0, np.random.default_rng(s), look=Look(ihc=False, glass_share=0.0)).image for s in range(12)]
    redness = [np.mean([float(np.mean(t[..., 0].astype(float) - t[..., 1])) for t in kind]) for kind in (blue, pink)]
    assert redness[0] < redness[1] - 10


@pytest.mark.parametrize("um_per_px", [0.5, 1.0, 2.0, 3.0])
def test_a_cut_has_the_scale_asked_for(um_per_px: float) -> None:
    ramp = np.repeat(np.linspace(0, 255, 600)[None, :, None], 600, 0).repeat(3, 2).astype(np.uint8)
    source = Source("region", "region/band_1", (ramp,), 0.5)
    found = cut(source, np.random.default_rng(1), side_px=88, um_per_px=um_per_px).astype(float)
    slope = (found[44, 84, 0] - found[44, 4, 0]) / 80
    assert slope == pytest.approx(255 / 600 * um_per_px / 0.5, rel=0.06)


def test_what_a_source_lacks_is_mirrored() -> None:
    patch = np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8)
    found = cut(Source("idc", "idc/1", (patch,), 4.0), np.random.default_rng(1), side_px=88, um_per_px=4.0)
    inner = found[19:69, 19:69]
    assert (inner == patch).all()
    assert (found[19:69, 18] == patch[:, 0]).all()
    assert (found[69, 19:69] == patch[-1]).all()


def test_a_mosaic_holds_patches_of_one_patient_only(maker: TileMaker) -> None:
    source = maker.sources[0]
    found = mosaic(source, np.random.default_rng(0))
    assert found.shape[0] == found.shape[1] > 2 * 50
    assert found.max() <= max(image.max() for image in source.images)


def test_the_camera_changes_little() -> None:
    clean = tissue(side=TILE_PX)
    for seed in range(10):
        assert np.abs(camera(clean, np.random.default_rng(seed)).astype(float) - clean).mean() < 14


def test_the_pool_has_the_share_and_every_group(root: Path, pool: Patches) -> None:
    found = pool
    again = read_artefact_tiles(root, PLAN, classes=CLASSES, tile_px=TILE_PX, seed=3)
    assert len(found) == pytest.approx(PLAN.tiles, abs=2)
    assert (found.images == again.images).all()
    assert found.sha256 == again.sha256
    assert len(set(found.groups)) == 21
    assert (found.labels != 0).mean() == pytest.approx(PLAN.prevalence, abs=0.1)
    kinds = [group.partition("/")[0] for group in found.groups]
    assert kinds.count("idc") / len(kinds) == pytest.approx(0.5, abs=0.01)


def test_other_classes_or_sides_are_refused(root: Path) -> None:
    with pytest.raises(InputError, match="64 px"):
        read_artefact_tiles(root, PLAN, classes=CLASSES, tile_px=50, seed=3)
    with pytest.raises(InputError, match="out_of_focus"):
        read_artefact_tiles(root, PLAN, classes=("clean", "dirty"), tile_px=TILE_PX, seed=3)
    with pytest.raises(InputError, match="raise tiles"):
        read_artefact_tiles(root, replace(PLAN, tiles=8), classes=CLASSES, tile_px=TILE_PX, seed=3)


def test_selecting_rows_takes_their_sources_along(pool: Patches) -> None:
    part = pool.select(pool.of_groups({"idc/101"}))
    assert isinstance(part.fresh, TileMaker)
    assert [source.group for source in part.fresh.sources] == ["idc/101"]


def test_batches_are_made_anew_and_the_same_again(pool: Patches) -> None:
    batches = [np.arange(4), np.arange(4, 9)]
    first = list(images_of(pool, batches, seed=(1, 0)))
    assert [len(images) for images in first] == [4, 5]
    assert all((a == b).all() for a, b in zip(first, images_of(pool, batches, seed=(1, 0)), strict=True))
    assert (first[0] != pool.images[:4]).any()
    assert (first[0] != next(images_of(pool, batches, seed=(1, 1)))).any()


def _config(root: Path, folder: Path) -> TrainingConfig:
    path = folder / "toy.toml"
    text = (Path(__file__).parents[2] / "models" / "configs" / "artefacts.toml").read_text()
    path.write_text(text)
    return replace(
        read_config(path),
        data=root,
        split=folder / "split.csv",
        output=folder / "run",
        architecture="mobilenet_v3_small",
        start="none",
        input_px=32,
        epochs=2,
        patience=2,
        batch_size=32,
        artefacts=PLAN,
        bootstrap_draws=5,
        evaluate_test=False,
    )


def test_a_killed_training_goes_on_to_the_same_weights(root: Path, pool: Patches, tmp_path: Path) -> None:
    whole = train(_config(root, tmp_path), read=lambda _: pool)
    assert whole.card.classes == CLASSES
    tile = np.full((2, TILE_PX, TILE_PX, 3), 240, np.uint8)
    assert load_model("artefacts", root=whole.output, device="cpu").predict(tile).shape == (2, 8)

    class KilledError(Exception):
        pass

    def kill(moment: object) -> None:
        if getattr(moment, "epoch", 0) == 1 and getattr(moment, "step", 0) == 1:
            raise KilledError

    broken = replace(_config(root, tmp_path), output=tmp_path / "broken")
    with pytest.raises(KilledError):
        train(broken, progress=kill, read=lambda _: pool)
    resumed = train(broken, resume=True, read=lambda _: pool)
    assert resumed.epochs_run == 2
    assert resumed.card.weights_sha256 == whole.card.weights_sha256


def test_the_shipped_configuration_can_be_read_and_its_split_leaks_nowhere(real_data: Path) -> None:
    folder = Path(__file__).parents[2] / "models"
    config = read_config(folder / "configs" / "artefacts.toml")
    assert config.classes == CLASSES
    assert config.layout == "artefacts"
    split = read_split(config.split)  # reading refuses a group in two parts
    parts = {group: part for part in PARTS for group in split.part(part)}
    for name in ("idc", "lung"):
        with (folder / "cards" / f"{name}_split.csv").open() as file:
            for row in csv.DictReader(file):
                assert parts.get(f"{name}/{row['group']}", row["part"]) == row["part"]
    assert {part for group, part in parts.items() if group.startswith("region/")} == {"train", "validation", "test"}
    patients = {path.name for path in (real_data / "idc").iterdir() if path.is_dir()}
    assert {group.partition("/")[2] for group in parts if group.startswith("idc/")} <= patients


def test_tissue_is_told_from_glass() -> None:
    assert tissue_share(np.full((64, 64, 3), 245, np.uint8)) == 0
    assert tissue_share(tissue(side=64)) > 0.8

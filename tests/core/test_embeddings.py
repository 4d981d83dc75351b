"""Embeddings of slides, the cache that keeps them, the licences that guard encoders, and the commands over all."""

from __future__ import annotations

import json
import logging
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from command_kit import second_read
from conftest import tissue_image, write_pyramid
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file

from core.errors import (
    CancelledError,
    DeviceMemoryError,
    InputError,
    MissingMppError,
    ModelError,
    NotAllowedError,
    NotApplicableError,
    NotFoundError,
    StorageError,
)
from core.inference import embed_tiles
from core.services import catalogue
from core.services.training.embedding_cache import CacheKey, cache_size, clear_cache, read_vectors, write_vectors
from core.services.training.embeddings import embed_slides, grid_digest, slide_embeddings, tile_spec
from core.services.training.encoders import accept_licence, acceptance_of, facts_of, list_encoders, open_encoder
from core.services.training.heads import HeadPlan, embed_images, train_head
from core.settings import Settings
from core.slides import open_slide
from core.store.connection import open_log
from core.store.events import events_of
from core.tiles import TileGrid, TileSpec, tile_grid
from models.cards import load_card
from models.data.patches import read_patches
from models.encoders.head_evaluation import cross_validate_head
from models.encoders.head_files import read_head
from models.encoders.heads import fit_linear_probe
from models.encoders.licences import OWN, Licence
from models.networks import ARCHITECTURES

ACTOR = "tester (command line)"


@dataclass
class ColourEncoder:
    """An encoder in numpy: mean and deviation of each channel. Counts the tiles it is asked for."""

    sha256: str = "e" * 64
    precision: str = "fp32"
    mpp: float | None = 2.0
    bears: int = 1000
    asked: int = 0
    name: str = "colour"
    tile_px: int = 64
    input_px: int = 64
    mean_255: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std_255: tuple[float, float, float] = (1.0, 1.0, 1.0)
    embedding_size: int = 6
    licence: Licence = OWN
    device: str = "numpy"
    parallel_calls: int = 2

    def embed(self, tiles: NDArray[np.uint8], /) -> NDArray[np.float32]:
        if len(tiles) > self.bears:
            raise DeviceMemoryError("Too many.")
        self.asked += len(tiles)
        pixels = tiles.reshape(len(tiles), -1, 3).astype(np.float32)
        return np.concatenate([pixels.mean(axis=1), pixels.std(axis=1)], axis=1)


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Settings:
    """A home with the slides "a" and "b" (another picture)."""
    paths = [
        write_pyramid(tmp_path / f"{name}.tif", tissue_image(1024, 768, seed=seed)) for seed, name in enumerate("ab")
    ]
    catalogue.add_paths(settings, paths, actor=ACTOR)
    return settings


def test_row_i_is_the_vector_of_tile_i_whatever_batches_and_memory(home: Settings) -> None:
    found = slide_embeddings(home, "a", ColourEncoder())
    assert 0 < len(found.grid) < found.grid.total  # tissue only
    with open_slide(Path(catalogue.get_slide(home, "a").path)) as reader:
        for batch, bears in ((1, 1000), (5, 1000), (32, 3)):
            vectors = embed_tiles(reader, found.grid, ColourEncoder(bears=bears), batch_size=batch)
            assert np.array_equal(vectors, found.vectors)
        first = tile_grid(reader.info.size, reader.info.mpp, found.grid.spec, None)  # type: ignore[arg-type]
        rows = [first.xy_level0.tolist().index(xy) for xy in found.grid.xy_level0.tolist()]
        everywhere = embed_tiles(reader, first, ColourEncoder(), batch_size=7)
        assert np.array_equal(everywhere[rows], found.vectors)
        with pytest.raises(DeviceMemoryError):
            embed_tiles(reader, found.grid, ColourEncoder(bears=0))


def test_an_encoder_that_is_not_as_described_is_refused(home: Settings) -> None:
    with pytest.raises(ModelError, match=r"Encoder colour returned .* 5 dimensions.*do not belong together"):
        slide_embeddings(home, "a", ColourEncoder(embedding_size=5))
    assert cache_size(home).files == 0


def test_the_second_time_nothing_is_computed(home: Settings) -> None:
    encoder = ColourEncoder()
    first = slide_embeddings(home, "a", encoder)
    asked = encoder.asked
    again = slide_embeddings(home, "a", encoder)
    assert (first.from_cache, again.from_cache, encoder.asked) == (False, True, asked)
    assert np.array_equal(first.vectors, again.vectors)
    assert np.array_equal(first.grid.xy_level0, again.grid.xy_level0)
    assert again.vectors.dtype == np.float32
    size = cache_size(home)
    assert size.files == 1
    assert size.bytes > first.vectors.nbytes
    assert clear_cache(home) == size
    assert (cache_size(home).files, clear_cache(home).files) == (0, 0)
    assert not slide_embeddings(home, "a", encoder).from_cache


@pytest.mark.parametrize(
    "change",
    [
        lambda home, encoder: (home, replace(encoder, sha256="f" * 64), None),
        lambda home, encoder: (home, replace(encoder, precision="bf16"), None),
        lambda home, encoder: (replace(home, stride_um=64.0), encoder, None),
        lambda home, encoder: (replace(home, min_tissue_fraction=0.9), encoder, None),
        lambda home, encoder: (home, encoder, TileSpec(100.0, mpp=2.0)),
    ],
)
def test_other_weights_format_or_tiles_are_other_vectors(
    home: Settings, change: Callable[[Settings, ColourEncoder], tuple[Settings, ColourEncoder, TileSpec | None]]
) -> None:
    slide_embeddings(home, "a", ColourEncoder())
    settings, encoder, spec = change(home, ColourEncoder())
    assert not slide_embeddings(settings, "a", encoder, spec=spec).from_cache
    assert cache_size(home).files == 2
    assert slide_embeddings(home, "a", ColourEncoder()).from_cache


def test_the_key_knows_order_positions_size_and_format(home: Settings) -> None:
    grid = slide_embeddings(home, "a", ColourEncoder()).grid
    digests = {
        grid_digest(grid, precision="fp32"),
        grid_digest(grid, precision="bf16"),
        grid_digest(replace(grid, xy_level0=grid.xy_level0[::-1]), precision="fp32"),
        grid_digest(replace(grid, xy_level0=grid.xy_level0 + 1), precision="fp32"),
        grid_digest(replace(grid, size_px=65), precision="fp32"),
    }
    assert len(digests) == 5


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda content: flip(content, len(content) - 3),
        lambda content: flip(content, 40),
        lambda content: b"PK\x03\x04" + content,
    ],
)
def test_a_damaged_file_is_computed_again_with_a_warning(
    home: Settings, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    first = slide_embeddings(home, "a", ColourEncoder())
    (file,) = (home.home / "embeddings").rglob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        again = slide_embeddings(home, "a", ColourEncoder())
    assert "computed again" in caplog.text
    assert not again.from_cache
    assert np.array_equal(again.vectors, first.vectors)
    assert len(file.read_bytes()) == len(whole)
    assert slide_embeddings(home, "a", ColourEncoder()).from_cache


def test_a_file_of_another_slide_under_this_name_is_not_believed(
    home: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    slide_embeddings(home, "a", ColourEncoder())
    (file,) = (home.home / "embeddings").rglob("*.safetensors")
    vectors = load_file(file)["vectors"]
    save_file({"vectors": vectors}, file, metadata={"slide": "0" * 64})
    with caplog.at_level(logging.WARNING):
        assert not slide_embeddings(home, "a", ColourEncoder()).from_cache
    assert "not what was written" in caplog.text


def test_writers_at_once_leave_one_whole_file(settings: Settings) -> None:
    key = CacheKey("a" * 64, "b" * 64, "c" * 64)
    torn: list[object] = []
    stop = threading.Event()

    def write(number: int) -> None:
        for _ in range(15):
            write_vectors(settings, key, np.full((400, 16), number, np.float32))

    def read() -> None:
        while not stop.is_set():
            if key.file(settings).is_file():
                found = read_vectors(settings, key, shape=(400, 16))
                if found is None or len(np.unique(found)) != 1:
                    torn.append(found)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert torn == []
    assert [path.name for path in key.file(settings).parent.iterdir()] == [key.file(settings).name]


@contextmanager
def full_disk(limit: int = 1024) -> Iterator[None]:
    """No file may grow beyond the limit, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_leaves_nothing_half_written(settings: Settings) -> None:
    key = CacheKey("a" * 64, "b" * 64, "c" * 64)
    vectors = np.ones((400, 16), np.float32)
    with full_disk(), pytest.raises(StorageError, match="second-read encoder clear"):
        write_vectors(settings, key, vectors)
    assert list(key.file(settings).parent.iterdir()) == []
    write_vectors(settings, key, vectors)
    with full_disk(), pytest.raises(StorageError):
        write_vectors(settings, key, vectors + 1)
    assert np.array_equal(read_vectors(settings, key, shape=(400, 16)), vectors)  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_made_is_a_storage_error(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "embeddings").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be kept"):
        write_vectors(settings, CacheKey("a" * 64, "b" * 64, "c" * 64), np.ones((1, 1), np.float32))


def test_cancelled_embedding_keeps_nothing(home: Settings) -> None:
    with pytest.raises(CancelledError):
        slide_embeddings(home, "a", ColourEncoder(), cancelled=lambda: True)
    assert cache_size(home).files == 0


def test_slides_that_cannot_be_embedded_say_why_and_the_others_go_on(home: Settings, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "scaleless.tif", tissue_image(512, 512), mpp=None)
    write_pyramid(tmp_path / "coarse.tif", tissue_image(512, 512), mpp=4.0)
    write_pyramid(tmp_path / "empty.tif", np.full((768, 768, 3), 243, np.uint8))
    names = ("scaleless", "coarse", "empty")
    catalogue.add_paths(home, [tmp_path / f"{name}.tif" for name in names], actor=ACTOR)
    Path(catalogue.get_slide(home, "b").path).write_bytes(b"no slide")
    outcomes = {outcome.slide_id: outcome for outcome in embed_slides(home, ColourEncoder())}
    assert [name for name, outcome in outcomes.items() if outcome.ok] == ["a", "empty"]
    assert outcomes["empty"].tiles == 0
    assert "micrometres per pixel" in outcomes["scaleless"].message
    assert "needs 2 um/px or finer, and this slide has 4" in outcomes["coarse"].message
    assert outcomes["b"].message
    assert "from the cache" in next(embed_slides(home, ColourEncoder(), slide_ids=["a"])).sentence
    for slide_id, error in (("scaleless", MissingMppError), ("coarse", NotApplicableError), ("none", NotFoundError)):
        with pytest.raises(error):
            slide_embeddings(home, slide_id, ColourEncoder())


def test_an_encoder_without_a_scale_reads_at_the_scale_it_is_given(home: Settings) -> None:
    bare = ColourEncoder(mpp=None)
    assert tile_spec(home, bare).mpp == 0.5
    assert tile_spec(home, bare, mpp=1.0) == TileSpec(64.0, mpp=1.0)
    assert tile_spec(home, ColourEncoder(), mpp=1.0).mpp == 2.0  # its own scale wins
    with pytest.raises(NotApplicableError):
        slide_embeddings(home, "a", bare, spec=tile_spec(home, bare, mpp=0.25))


def test_a_tile_model_embeds_the_tiles_of_an_analysis(home: Settings) -> None:
    encoder = open_encoder(home, "model:idc")
    found = slide_embeddings(home, "a", encoder)
    assert found.grid.spec == TileSpec(200.0, mpp=4.0)
    assert found.vectors.shape == (len(found.grid), encoder.embedding_size)
    assert isinstance(found.grid, TileGrid)


@pytest.fixture
def uni(settings: Settings) -> Settings:
    """A home with a folder "UNI" among its encoders; its weights are missing."""
    (settings.home / "encoders" / "UNI").mkdir(parents=True)
    return settings


def test_acceptance_is_an_event_of_who_and_what(uni: Settings) -> None:
    facts = facts_of(uni, "UNI")
    assert facts == facts_of(uni, "uni")  # the folder's name, or the encoder's, as cards keep it
    assert acceptance_of(uni, facts.name, facts.licence) is None
    with pytest.raises(ModelError, match="nobody has accepted"):
        open_encoder(uni, "UNI")
    with pytest.raises(ModelError, match="changed since they were shown"):
        accept_licence(uni, "UNI", shown_sha256="0" * 64, actor=ACTOR)
    with pytest.raises(NotAllowedError):
        accept_licence(uni, "UNI", shown_sha256=facts.licence.sha256, actor="nobody")
    accept_licence(uni, "UNI", shown_sha256=facts.licence.sha256, actor=ACTOR)
    found = acceptance_of(uni, facts.name, facts.licence)
    assert found is not None
    assert (found.actor, found.licence) == (ACTOR, "CC-BY-NC-ND-4.0")
    with open_log(uni) as database:
        (event,) = events_of(database, ["encoder:uni"])
    assert event.payload["terms_sha256"] == facts.licence.sha256
    assert catalogue.verify_log(uni).ok
    with pytest.raises(ModelError, match="no weights file"):  # the licence is no longer what stands in the way
        open_encoder(uni, "UNI")
    (uni.home / "encoders" / "UNI" / "LICENSE").write_text("New terms.")
    assert [item.usable for item in list_encoders(uni) if item.spec == "UNI"] == [False]
    with pytest.raises(ModelError, match="needs no acceptance"):
        accept_licence(uni, "model:idc", shown_sha256=OWN.sha256, actor=ACTOR)


def test_a_folder_that_does_not_say_what_it_holds_is_listed_with_the_reason(uni: Settings) -> None:
    (uni.home / "encoders" / "mystery").mkdir()
    listed = {item.spec: item for item in list_encoders(uni)}
    assert listed["model:idc"].usable
    assert "does not say what it holds" in listed["mystery"].problem
    assert not listed["mystery"].usable


def test_commands_list_accept_embed_and_clear(home: Settings) -> None:
    folder = home.home / "encoders" / "UNI"
    folder.mkdir(parents=True)
    where = ("--home", home.home)
    assert "not accepted yet" in second_read("encoder", "list", *where).out
    shown = second_read("encoder", "accept", "UNI", "--yes", *where)
    assert shown.code == 0
    assert "academic research only" in shown.out
    listed = {row["encoder"]: row for row in second_read("encoder", "list", "--json", *where).lines}
    assert listed["UNI"]["usable"]
    assert listed["UNI"]["accepted_by"].endswith("(command line)")
    assert listed["UNI"]["embedding_size"] == 1024
    assert "nothing to accept" in second_read("encoder", "list", *where).out
    embedded = second_read("encoder", "embed", "model:idc", "a", "--json", "--device", "cpu", *where)
    assert embedded.only | {"tiles": 0} == {
        "slide_id": "a",
        "ok": True,
        "tiles": 0,
        "embedding_size": sum(ARCHITECTURES[one.architecture].embedding_size for one in load_card("idc").members),
        "from_cache": False,
        "message": "",
    }
    wrong = second_read("encoder", "embed", "model:idc", "nowhere", "--device", "cpu", *where)
    assert wrong.code == 1
    assert "nowhere: " in wrong.out
    assert "Removed 1 files" in second_read("encoder", "clear", *where).out
    assert "is no encoder" in second_read("encoder", "accept", "nonsense", *where).refusal()


COLOURS = {"dark": (120, 70, 140), "light": (225, 190, 215)}


def noisy(colour: tuple[int, int, int], random: np.random.Generator) -> NDArray[np.uint8]:
    return (np.array(colour) + random.normal(0, 12, (16, 16, 3))).clip(0, 255).astype(np.uint8)


def write_patches(root: Path, *, patients: int = 6) -> Path:
    """Two classes of flat colour with noise, one folder a patient."""
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for patient in range(patients):
            folder = root / name / f"{name}{patient}"
            folder.mkdir(parents=True)
            for number in range(4):
                Image.fromarray(noisy(colour, random)).save(folder / f"{number}.png")
    return root


@pytest.mark.parametrize("kind", ["linear_probe", "prototypes"])
def test_a_head_is_trained_evaluated_and_kept_with_its_card(settings: Settings, tmp_path: Path, kind: str) -> None:
    data = write_patches(tmp_path / "patches")
    plan = HeadPlan("tone", "model:idc", data, "class_group", ("light", "dark"), 16, kind=kind, folds=3)
    done = train_head(settings, plan)
    stored = read_head(done.path)
    assert done.path == settings.home / "heads" / "tone" / "tone.toml"
    assert (stored.card.vectors, stored.card.groups) == (48, 12)
    assert stored.card.metrics["macro_auc"]["value"] > 0.95
    assert any("Fewer than 10 patients: light (6), dark (6)" in limit for limit in stored.card.limits)
    encoder = open_encoder(settings, "model:idc")
    stored.check_encoder(encoder.sha256)
    random = np.random.default_rng(7)
    images = np.stack([noisy(colour, random) for colour in (*[COLOURS["dark"]] * 4, *[COLOURS["light"]] * 4)])
    vectors = embed_images(encoder, images, batch_size=3)
    assert stored.head.scores(vectors).argmax(axis=1).tolist() == [1] * 4 + [0] * 4


def test_probe_on_the_colours_of_real_patches_separates_patients_never_seen(real_data: Path) -> None:
    """Mean red alone has an AUC of 0.84 to 0.87 on these patches: a probe on all colours must not fall behind it."""
    patches = read_patches(real_data / "idc", layout="idc", classes=("0", "1"), tile_px=50)
    vectors = embed_images(ColourEncoder(), patches.images, batch_size=512)
    fit = partial(fit_linear_probe, classes=patches.classes, strengths=(0.1,))
    found = cross_validate_head(fit, vectors, patches.labels, np.array(patches.groups), classes=("0", "1"), draws=20)
    assert found.metrics["auc_1"].value > 0.84


def test_train_head_command_says_what_it_measured(settings: Settings, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches")
    options = ("--name", "tone", "--classes", "light, dark", "--tile-px", "16", "--folds", "3", "--device", "cpu")
    done = second_read("encoder", "train-head", "model:idc", data, *options, "--home", settings.home)
    assert done.code == 0, done.err
    assert "macro_auc " in done.out
    card = settings.home / "heads" / "tone" / "tone.toml"
    assert str(card) in done.out
    assert read_head(card).card.encoder == "model:idc"
    refused = second_read(
        "encoder",
        "train-head",
        "model:idc",
        data,
        *options,
        "--kind",
        "prototypes",
        "--balanced",
        "--home",
        settings.home,
    )
    assert "belongs to the linear probe" in refused.refusal()
    many = second_read("encoder", "train-head", "model:idc", data, *options, "--folds", "7", "--home", settings.home)
    assert many.code == 2
    assert "light has 6 patients; 7 folds" in many.err
    assert "embedded" not in many.err  # it is refused before the work
    with pytest.raises(InputError, match="lower-case"):
        HeadPlan("../tone", "model:idc", data, "class_group", ("light", "dark"), 16)


def test_images_are_embedded_in_order_with_progress_and_in_halves() -> None:
    images = np.stack([np.full((8, 8, 3), number, np.uint8) for number in range(11)])
    steps: list[tuple[int, int]] = []
    vectors = embed_images(
        ColourEncoder(bears=2), images, batch_size=4, progress=lambda done, total: steps.append((done, total))
    )
    assert vectors[:, 0].tolist() == list(range(11))
    assert steps == [(4, 11), (8, 11), (11, 11)]
    assert json.dumps(steps)  # plain numbers

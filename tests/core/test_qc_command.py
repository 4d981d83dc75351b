"""`second-read qc`, the job of kind qc, and quality as a part of an analysis."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import write_pyramid
from people_kit import CLERK
from PIL import Image
from qc_kit import as_rgb, disc, on_glass, tissue_density

from core.commands import cli
from core.domain import SlideStatus, Stain
from core.qc.classes import CLASSES, NO_TISSUE, ArtefactClass
from core.services import catalogue
from core.services.analysis import analyse
from core.services.analysis.run_files import RunFolder
from core.services.quality import task as qc_task
from core.services.quality.network import ArtefactNetwork
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.quality_results import quality_of_slide
from core.store.records import WITHOUT_ARTEFACT

FIELDS = (
    *("status", "tissue_mm2", "usable_mm2", "usable_fraction", "score", "disposition", "classes", "stain", "sections"),
    "seconds",
)


def slide(path: Path, *, pen: bool = False) -> Path:
    """A pyramid of 1.0 x 0.8 mm at 0.5 um/px with a disc of tissue, and a green stroke if wanted."""
    shape = (800, 1000)
    tissue = disc(shape, 400, 500, 330)
    density = on_glass(tissue_density(*shape, um_per_px=1.0), tissue)
    if pen:
        density[:, 460:540] += np.array((0.9, 0.25, 0.6), np.float32)
    large = np.asarray(Image.fromarray(as_rgb(density)).resize((2000, 1600), Image.Resampling.NEAREST))
    return write_pyramid(path, large)


@pytest.fixture
def detectors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the network out: what is tested here does not depend on it."""
    for module in ("core.services.quality.standalone", "core.services.quality.task", "core.services.quality.of_run"):
        monkeypatch.setattr(f"{module}.artefact_network", lambda _device: ArtefactNetwork(None, "", ""))


def run(*arguments: object) -> SimpleNamespace:
    done = CliRunner().invoke(cli, ["qc", *map(str, arguments)])
    entries = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    return SimpleNamespace(code=done.exit_code, out=done.output, entries=entries)


@pytest.mark.usefixtures("detectors_alone")
def test_json_and_mask_of_a_slide_outside_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(slide(tmp_path / "a.b.tif", pen=True), "--json", "--mask", tmp_path / "map.png")
    assert done.code == 0, done.out
    (found,) = done.entries
    assert set(FIELDS) <= set(found)
    assert (found["status"], found["slide_id"]) == ("ok", "a.b")
    assert list(found["classes"]) == [kind.value for kind in CLASSES]
    assert found["classes"]["pen"]["fraction_of_tissue"] == pytest.approx(0.15, abs=0.03)
    assert found["usable_mm2"] == pytest.approx(found["usable_fraction"] * found["tissue_mm2"], rel=1e-4)
    with Image.open(tmp_path / "map.png") as image:
        assert image.mode == "P"
        labels = np.asarray(image)
        assert image.getpalette()[3 * ArtefactClass.PEN.code :][:3] == [0, 158, 115]  # type: ignore[index]
    assert list(reversed(labels.shape)) == found["mask_size"]
    assert labels.shape[1] * found["um_per_px"] == pytest.approx(1000, rel=0.01)
    assert set(np.unique(labels)) <= {*range(len(CLASSES)), NO_TISSUE}
    assert labels[0, 0] == NO_TISSUE
    on_map = float((labels == ArtefactClass.PEN.code).sum()) * found["um_per_px"] ** 2 / 1e6
    assert on_map > found["classes"]["pen"]["mm2"], "the map shows ink on glass too; the area is of tissue"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.b.tif", "map.png"], "no home, nothing left behind"


@pytest.mark.usefixtures("detectors_alone")
def test_what_cannot_be_measured_is_a_state_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.svs").write_bytes(b"no slide")
    Image.fromarray(as_rgb(tissue_density(128, 128, um_per_px=1.0))).save(tmp_path / "plain.png")
    Image.fromarray(np.full((200, 200, 3), 243, np.uint8)).save(tmp_path / "glass.png")
    done = run(tmp_path, "--json")
    assert (done.code, len(done.entries)) == (3, 3)
    states = {entry["slide_id"]: entry["status"] for entry in done.entries}
    assert states == {"broken": "unreadable", "glass": "no_mpp", "plain": "no_mpp"}
    assert all(entry["message"].endswith(".") and entry["score"] is None for entry in done.entries)
    scaled = run(tmp_path / "plain.png", tmp_path / "glass.png", "--mpp", 0.5, "--json")
    assert [entry["status"] for entry in scaled.entries] == ["ok", "no_tissue"]
    assert scaled.entries[0]["usable_fraction"] > 0.95
    assert "no tissue" in run(tmp_path / "glass.png", "--mpp", 1.0).out
    Image.fromarray(as_rgb(tissue_density(12, 12, um_per_px=1.0))).save(tmp_path / "dot.png")
    (dot,) = run(tmp_path / "dot.png", "--mpp", 1.0, "--json").entries
    assert (dot["status"], "too little to judge" in dot["message"]) == ("no_tissue", True)


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    path = slide(tmp_path / "s.tif")
    other = slide(tmp_path / "t.tif")
    done = run(path, other, "--mask", "x.png")
    assert (done.code, "--mask takes the map of one slide" in done.out) == (2, True)
    nowhere = run(path, "--mask", path / "map.png")
    assert nowhere.code == 2
    assert "s.tif is no folder, so map.png cannot be written there" in " ".join(nowhere.out.split())
    assert run(tmp_path / "absent.tif").code == 2
    assert run(path, "--mpp", -1).code == 2


@pytest.fixture
def listed(settings: Settings, tmp_path: Path) -> Settings:
    path = slide(tmp_path / "s.tif", pen=True)
    catalogue.add_paths(settings, (path,), case_id="c", stain=Stain.IHC, actor=CLERK)
    return settings


@pytest.mark.usefixtures("detectors_alone")
def test_the_task_keeps_a_row_and_its_files(listed: Settings) -> None:
    told: list[tuple[int, int]] = []
    said = qc_task.run(
        listed, "s", {}, progress=lambda done, total: told.append((done, total)), cancelled=lambda: False
    )
    assert said.startswith("Accept with limitation: ")
    assert told[-1][0] == told[-1][1]
    with open_log(listed) as database, reading(database):
        kept = quality_of_slide(database, "s")
    assert kept is not None
    assert kept.results_dir is not None
    names = {path.name for path in (listed.home / kept.results_dir).iterdir()}
    assert names == {"thumbnail.jpg", "qc_map.png", "qc_overlay.png", "qc_tissue.png", "qc.json"}
    assert json.loads((listed.home / kept.results_dir / "qc.json").read_text())["score"] == kept.score


@pytest.mark.usefixtures("detectors_alone")
def test_a_slide_that_the_model_refuses_has_its_quality_all_the_same(listed: Settings) -> None:
    result = analyse.analyse_slide(listed, "s", run_id="r")
    assert result.status is SlideStatus.NOT_APPLICABLE
    assert result.qc is not None
    assert result.qc["classes"]["pen"]["mm2"] > 0  # type: ignore[index]
    assert WITHOUT_ARTEFACT not in result.settings
    codes = RunFolder.of(listed, "s", "r").read_image("qc_map.png")
    assert (codes == ArtefactClass.PEN.code).any()

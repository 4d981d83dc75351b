"""The export: every file, WSInfer's layout, and nothing in a table that tells where a slide lies."""

from __future__ import annotations

import csv
import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command_kit import second_read
from conftest import tissue_image, write_pyramid
from people_kit import CLERK, enrol

from core.aggregation import Aggregation
from core.domain import NOT_FOR_DIAGNOSIS, ReadCategory, ReviewVerdict
from core.errors import NotFoundError, StorageError
from core.services import catalogue
from core.services.cases import review
from core.services.export import export
from core.settings import Settings

PERSON = "Doe_Jane_19500102"
"""Folders are named after people more often than one thinks."""

TABLES = ("worklist", "slides", "scores", "flags", "diagnoses", "reviews")


@dataclass(frozen=True, slots=True)
class Exported:
    """A home with two cases, and what its export wrote."""

    settings: Settings
    out: Path
    files: tuple[Path, ...]

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.out / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def json(self, pattern: str) -> Any:
        (path,) = self.out.glob(pattern)
        return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Case C-1: two slides, read and reviewed. Case C-2: a file that is no slide, unread."""
    root = tmp_path_factory.mktemp("export")
    slides = root / PERSON
    slides.mkdir()
    write_pyramid(slides / "one.tif", tissue_image(2048, 1536, seed=1))
    write_pyramid(slides / "two.tif", tissue_image(1536, 2048, seed=2))
    (slides / "broken.svs").write_bytes(b"no slide")
    settings = Settings(home=root / "home")
    for case_id, names in (("C-1", ("one.tif", "two.tif")), ("C-2", ("broken.svs",))):
        paths = [slides / name for name in names]
        assert second_read("analyse", *paths, "--case", case_id, "--home", settings.home).code in (0, 3)
    enrol(settings, "ann")
    review.record_diagnosis(
        settings, "C-1", category=ReadCategory.BENIGN, grade=None, text="Nothing seen.", confidence=4, actor="ann"
    )
    review.record_review(settings, "C-1", verdict=ReviewVerdict.AGREE, note="Same.", actor="ann")
    return Exported(settings, root / "out", export(settings, root / "out", actor=CLERK))


def test_every_file_is_there_and_named(exported: Exported) -> None:
    found = {path.relative_to(exported.out).as_posix() for path in exported.out.rglob("*") if path.is_file()}
    assert {path.relative_to(exported.out).as_posix() for path in exported.files} == found
    (metadata,) = (name for name in found if name.startswith("run_metadata_"))
    assert found == {
        *(f"{name}.csv" for name in TABLES),
        *(f"model-outputs-csv/{slide}.csv" for slide in ("one", "two")),
        *(f"model-outputs-geojson/{slide}.geojson" for slide in ("one", "two")),
        *("events.jsonl", "NOTICE.txt", metadata),
    }
    assert NOT_FOR_DIAGNOSIS in (exported.out / "NOTICE.txt").read_text()


def test_the_tables_hold_every_case_slide_score_and_read(exported: Exported) -> None:
    cases = {row["case_id"]: row for row in exported.table("worklist")}
    assert set(cases) == {"C-1", "C-2"}
    assert (cases["C-1"]["diagnosis"], cases["C-1"]["diagnosis_by"], cases["C-1"]["slides"]) == ("benign", "ann", "2")
    assert (cases["C-2"]["slides_without_result"], cases["C-2"]["flags"]) == ("1", "no_result")
    slides = {row["slide_id"]: row for row in exported.table("slides")}
    assert {name: row["status"] for name, row in slides.items()} == {"one": "ok", "two": "ok", "broken": "unreadable"}
    assert (slides["one"]["mpp_source"], slides["one"]["width"]) == ("tiff.resolution", "2048.0")
    scores = exported.table("scores")
    assert len(scores) == 2 * len(Aggregation) * 2  # slides, rules, classes
    assert {row["slide_id"] for row in scores} == {"one", "two"}
    assert all(len(row["weights_sha256"]) == 64 for row in scores)
    (read,) = exported.table("diagnoses")
    assert (read["case_id"], read["category"], read["text"]) == ("C-1", "benign", "Nothing seen.")
    (answer,) = exported.table("reviews")
    assert (answer["case_id"], answer["verdict"], answer["note"]) == ("C-1", "agree", "Same.")
    assert ("broken", "no_result") in {(row["slide_id"], row["kind"]) for row in exported.table("flags")}


def test_the_tiles_lie_in_wsinfers_layout(exported: Exported) -> None:
    for slide_id, size in (("one", (2048, 1536)), ("two", (1536, 2048))):
        table = pd.read_csv(exported.out / "model-outputs-csv" / f"{slide_id}.csv")
        assert list(table) == ["minx", "miny", "width", "height", "prob_no_idc", "prob_idc"]
        assert len(table) > 5
        assert set(table["width"]) == set(table["height"]) == {400}
        assert table["minx"].between(0, size[0] - 1).all()
        assert table["miny"].between(0, size[1] - 1).all()
        assert (table["prob_idc"] + table["prob_no_idc"]).to_numpy() == pytest.approx(1, abs=1e-3)
        # The very values of the run, not a copy that was rounded on the way.
        (run,) = catalogue.slide_runs(exported.settings, slide_id)
        assert table["prob_idc"].max() == pytest.approx(run.scores["max"]["idc"], abs=1e-6)


def test_the_same_tiles_open_in_qupath(exported: Exported) -> None:
    table = pd.read_csv(exported.out / "model-outputs-csv" / "one.csv")
    found = exported.json("model-outputs-geojson/one.geojson")
    assert found["type"] == "FeatureCollection"
    assert len(found["features"]) == len(table)
    for feature, row in zip(found["features"], table.to_dict("records"), strict=True):
        ring = feature["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1] == [row["minx"], row["miny"]]
        assert ring[2] == [row["minx"] + row["width"], row["miny"] + row["height"]]
        assert feature["properties"]["objectType"] == "tile"
        assert feature["properties"]["measurements"]["prob_idc"] == pytest.approx(row["prob_idc"], abs=1e-6)
        uuid.UUID(feature["id"])


def test_the_metadata_say_how_each_result_came_about(exported: Exported) -> None:
    runs = {run["slide_id"]: run for run in exported.json("run_metadata_*.json")["runs"]}
    assert set(runs) == {"one", "two"}
    for run in runs.values():
        assert run["mpp_x"] == run["mpp_y"] == 0.5
        assert run["model"] == "idc"
        assert run["device"]
        assert run["created_at_utc"].endswith("+00:00")


def test_the_events_are_those_of_the_log_in_order(exported: Exported) -> None:
    events = [json.loads(line) for line in (exported.out / "events.jsonl").read_text().splitlines()]
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers))
    actions = [event["action"] for event in events]
    for action in ("diagnosis.recorded", "review.recorded"):
        assert actions.count(action) == 1
    assert actions.count("run.saved") == 3
    assert all(len(event["hash"]) == 64 for event in events)


def test_no_file_tells_where_a_slide_lies(exported: Exported) -> None:
    for path in exported.files:
        text = path.read_text(encoding="utf-8")
        assert PERSON not in text, path.name
        assert str(exported.settings.home.parent) not in text, path.name


def test_no_table_tells_where_a_dicom_file_that_is_no_slide_lies(
    tmp_path: Path, settings: Settings, real_data: Path
) -> None:
    path = tmp_path / PERSON / "scan.dcm"
    path.parent.mkdir()
    shutil.copyfile(real_data / "slides" / "unreadable" / "small_dicom.dcm", path)
    assert second_read("analyse", path, "--home", settings.home).code == 3
    for table in export(settings, tmp_path / "out", actor=CLERK):
        if table.suffix == ".csv":
            assert PERSON not in table.read_text(encoding="utf-8"), table.name


@pytest.mark.parametrize(
    "name",
    TABLES,
)
def test_a_table_without_rows_still_has_its_columns(name: str, settings: Settings, tmp_path: Path) -> None:
    export(settings, tmp_path / "out", actor=CLERK)
    table = pd.read_csv(tmp_path / "out" / f"{name}.csv")
    assert len(table) == 0
    assert len(table.columns) > 3


def test_a_single_case_and_only_that(exported: Exported, tmp_path: Path) -> None:
    files = export(exported.settings, tmp_path / "two", case_ids=["C-2"], actor=CLERK)
    assert not [path for path in files if path.parent.name == "model-outputs-csv"]
    assert pd.read_csv(tmp_path / "two" / "worklist.csv")["case_id"].tolist() == ["C-2"]
    for path in files:
        assert "C-1" not in path.read_text(encoding="utf-8"), path.name


def test_an_unknown_case_is_refused_before_anything_is_written(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no case C-9"):
        export(exported.settings, tmp_path / "none", case_ids=["C-1", "C-9"], actor=CLERK)
    assert not (tmp_path / "none").exists()
    said = second_read("export", tmp_path / "none", "--case", "C-9", "--home", exported.settings.home).refusal()
    assert "C-9" in said


def test_a_folder_that_cannot_be_written_is_a_plain_sentence(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        export(exported.settings, tmp_path / "file" / "out", actor=CLERK)


def test_exporting_again_changes_nothing_but_the_time_of_the_export(exported: Exported, tmp_path: Path) -> None:
    again = export(exported.settings, tmp_path / "again", actor=CLERK)
    for path in again:
        if not path.name.startswith("run_metadata_"):
            first = exported.out / path.relative_to(tmp_path / "again")
            assert path.read_bytes() == first.read_bytes(), path.name

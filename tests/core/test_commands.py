"""The command line from end to end: real slides, made ones, bad input, full disks, and the log after all of it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from command_kit import Done, second_read, second_read_process
from conftest import tissue_image, write_pyramid
from PIL import Image

from core.aggregation import Aggregation
from core.commands import COMMANDS

PROMISED = {
    *("slide_id", "status", "message", "mpp", "mpp_source", "tissue_mm2", "tiles_total", "tiles_kept", "tiles_dropped"),
    *("scores", "label", "qc_score", "run_id", "seconds", "tiles_per_second"),
}
"""What one line of `analyse --json` holds at least."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def verified(home: Path) -> str:
    """The verdict on the log, which must be whole."""
    done = second_read("log", "verify", "--home", home)
    assert done.code == 0, done
    return done.out


# ---------------------------------------------------------------------------------------------------------------- help


def test_help_lists_every_command_with_its_whole_sentence() -> None:
    done = second_read_process("--help")
    assert (done.code, done.err) == (0, "")
    listed = done.out.split("Commands:\n")[1].split("\n\n")[0]
    assert "..." not in listed
    entries = " ".join(listed.split())
    assert [name for name in COMMANDS if f" {name} " in f" {entries} "] == list(COMMANDS)
    starts = [line.split()[0] for line in listed.splitlines() if not line.startswith("   ")]
    assert starts == list(COMMANDS)
    assert "not for primary diagnosis" in done.out


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS), ("log", "verify")], ids=" ".join)
def test_every_command_explains_itself_without_touching_anything(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = second_read(*command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f" {' '.join(command)} " in done.out.splitlines()[0]
    assert "..." not in done.out.replace("[ARGS]...", "").replace("PATHS...", "")
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------------------------- real slides


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One call over the real slide, its DICOM copy and every unreadable file, as a user makes it."""
    slides = real_data / "slides"
    home = tmp_path_factory.mktemp("real")
    paths = (slides / "CMU-1-Small-Region.svs", slides / "CMU-1-Small-Region-dicom", slides / "unreadable")
    return second_read_process("analyse", *paths, "--json", "--home", home)


def test_the_real_slide_is_read_at_the_scale_its_file_states(real: Done) -> None:
    slide = real.lines[0]
    assert set(slide) >= PROMISED
    assert (slide["slide_id"], slide["status"], slide["message"]) == ("CMU-1-Small-Region", "ok", "")
    assert (slide["mpp"], slide["mpp_source"]) == (0.499, "openslide.mpp")
    # 2,220 x 2,967 px at 0.499 um are 1.64 mm2, about half of them tissue.
    assert 0.5 < slide["tissue_mm2"] < 1.5
    # Tiles of 200 um are 401 px: 6 columns and 8 rows.
    assert slide["tiles_total"] == 48
    assert slide["tiles_kept"] + sum(slide["tiles_dropped"].values()) == 48
    assert 10 < slide["tiles_kept"] < 48


def test_the_real_slide_has_a_score_by_every_rule(real: Done) -> None:
    slide = real.lines[0]
    assert set(slide["scores"]) == {rule.value for rule in Aggregation}
    for classes in slide["scores"].values():
        assert set(classes) == {"idc", "no_idc"}
        assert all(0 <= value <= 1 for value in classes.values())
    assert slide["scores"]["mean"]["idc"] + slide["scores"]["mean"]["no_idc"] == pytest.approx(1, abs=1e-5)
    assert slide["scores"]["max"]["idc"] >= slide["scores"]["top_k_mean"]["idc"] >= slide["scores"]["mean"]["idc"]
    assert slide["label"] in {"idc", "no_idc"}
    assert 0 <= slide["qc_score"] <= 1
    assert 0 < slide["seconds"] < 60
    assert slide["tiles_per_second"] > 0


def test_the_dicom_copy_has_the_same_scale_and_grid(real: Done) -> None:
    svs, dicom = real.lines[:2]
    assert (dicom["slide_id"], dicom["status"]) == ("CMU-1-Small-Region-dicom", "ok")
    assert (dicom["mpp"], dicom["tiles_total"]) == (svs["mpp"], svs["tiles_total"])


def test_unreadable_files_are_said_to_be_so_and_make_the_exit_code_3(real: Done) -> None:
    assert real.code == 3
    assert real.err == ""
    rest = real.lines[2:]
    assert [slide["slide_id"] for slide in rest] == ["broken", "small_dicom", "small_vectra"]
    for slide in rest:
        assert set(slide) >= PROMISED
        assert slide["status"] == "unreadable"
        assert slide["slide_id"] in slide["message"]
        assert (slide["scores"], slide["label"], slide["tiles_total"]) == ({}, None, 0)


# --------------------------------------------------------------------------------------------- states of made slides


def analysed(home: Path, *arguments: object) -> Done:
    return second_read("analyse", *arguments, "--json", "--home", home)


def test_an_image_without_a_scale_is_refused_until_one_is_given(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    Image.fromarray(tissue_image(1200, 900)).save(path)
    refused = analysed(home, path)
    assert refused.code == 3
    assert (refused.only["status"], refused.only["mpp"], refused.only["mpp_source"]) == ("no_mpp", None, None)
    assert "--mpp" in refused.only["message"]

    accepted = analysed(home, path, "--mpp", "1.0")
    assert accepted.code == 0
    assert (accepted.only["status"], accepted.only["mpp"], accepted.only["mpp_source"]) == ("ok", 1.0, "user")
    # 1,200 x 900 um in tiles of 200 um; the tissue is the middle 720 x 540 um.
    assert accepted.only["tiles_total"] == 6 * 5
    assert accepted.only["tissue_mm2"] == pytest.approx(0.72 * 0.54, rel=0.15)


def test_an_empty_slide_has_no_tissue(home: Path, tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "glass.tif", np.full((1200, 1600, 3), 243, np.uint8))
    done = analysed(home, path)
    assert (done.code, done.only["status"], done.only["mpp"]) == (3, "no_tissue", 0.5)
    assert not done.only["tissue_mm2"]
    assert (done.only["qc_score"], done.only["tiles_kept"], done.only["label"]) == (None, 0, None)


def test_a_stain_the_model_is_not_made_for_is_not_applicable(home: Path, synthetic_slide: Path) -> None:
    done = analysed(home, synthetic_slide, "--stain", "ihc")
    assert (done.code, done.only["status"], done.only["scores"]) == (3, "not_applicable", {})
    assert "IHC" in done.only["message"]
    assert analysed(home, synthetic_slide, "--stain", "he").only["status"] == "ok"


def test_a_slide_coarser_than_the_model_is_not_applicable(home: Path, synthetic_slide: Path) -> None:
    done = analysed(home, synthetic_slide, "--mpp", "5")
    assert (done.code, done.only["status"]) == (3, "not_applicable")
    # The file says 0.5, so what the user says is taken, and the contradiction is no secret.
    assert done.only["mpp_source"] == "user"


def test_a_manifest_gives_case_scale_and_stain(home: Path, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tif", tissue_image(1024, 1024), mpp=None)
    write_pyramid(tmp_path / "b.tif", tissue_image(1024, 1024))
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,case,mpp,stain\na.tif,C-1,0.5,he\nb.tif,C-1,,ihc\n")
    done = analysed(home, manifest)
    assert done.code == 3
    found = [(line["slide_id"], line["status"], line["mpp_source"]) for line in done.lines]
    assert found == [("a", "ok", "user"), ("b", "not_applicable", "tiff.resolution")]


def test_without_json_a_person_reads_one_line_a_slide(home: Path, synthetic_slide: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"no slide")
    done = second_read("analyse", synthetic_slide, broken, "--home", home)
    assert done.code == 3
    first, second = done.out.splitlines()
    assert first.startswith("synthetic: ")
    assert "top_k_mean" in first
    assert second.startswith("broken: unreadable. ")


def test_the_same_file_twice_is_one_slide_with_two_runs(home: Path, synthetic_slide: Path) -> None:
    first, second = analysed(home, synthetic_slide).only, analysed(home, synthetic_slide).only
    assert first["slide_id"] == second["slide_id"]
    assert first["run_id"] != second["run_id"]
    assert first["scores"] == second["scores"]
    assert len(list((home / "results" / "synthetic").iterdir())) == 2


# --------------------------------------------------------------------------------------------------------- bad input


def test_bad_input_is_one_sentence_and_the_log_stays_whole(home: Path, tmp_path: Path, synthetic_slide: Path) -> None:
    assert analysed(home, synthetic_slide).code == 0
    events = verified(home)
    (tmp_path / "empty").mkdir()
    wrong_column = tmp_path / "column.csv"
    wrong_column.write_text("path,micrometres\na.tif,0.5\n")
    negative = tmp_path / "negative.csv"
    negative.write_text("path,mpp\nsynthetic.tif,-0.5\n")
    gone = tmp_path / "gone.csv"
    gone.write_text("path\nsynthetic.tif\nnowhere.tif\n")
    table: tuple[tuple[tuple[object, ...], tuple[str, ...]], ...] = (
        ((tmp_path / "none.svs",), ("none.svs", "does not exist")),
        ((tmp_path / "empty",), ("empty", "no slides")),
        ((wrong_column,), ("column.csv", "micrometres", "not a column")),
        ((negative,), ("Row 2", "negative.csv", "-0.5")),
        ((gone,), ("nowhere.tif", "does not exist")),
        ((synthetic_slide, "--mpp", "-0.5"), ("--mpp", "-0.5")),
        ((synthetic_slide, "--mpp", "nan"), ("--mpp", "nan")),
        ((synthetic_slide, "--mpp", "half"), ("--mpp", "half")),
        ((synthetic_slide, "--stain", "pink"), ("--stain", "pink")),
        ((synthetic_slide, "--batch-size", "0"), ("--batch-size", "0")),
        ((synthetic_slide, "--model", "nobody"), ("nobody", "idc")),
        ((), ("PATHS",)),
    )
    for arguments, words in table:
        said = analysed(home, *arguments).refusal()
        assert all(word in said for word in words), said
    assert verified(home) == events, "a refused command left something in the log"


def test_a_wrong_manifest_adds_none_of_its_rows(home: Path, tmp_path: Path, synthetic_slide: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"path,mpp\n{synthetic_slide.name},0.5\n{synthetic_slide.name[:-4]}2.tif,0.5\n")
    second_read("add", manifest, "--home", home).refusal()
    assert "0 events" in verified(home)


def test_environment_and_unknown_commands_are_refused(
    home: Path, synthetic_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "diagnose" in second_read("diagnose").refusal()
    monkeypatch.setenv("SECOND_READ_BATCH_SIZE", "many")
    said = analysed(home, synthetic_slide).refusal()
    assert "SECOND_READ_BATCH_SIZE" in said
    assert "many" in said
    assert not home.exists()


def test_the_home_of_the_environment_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND_READ_HOME", str(home))
    assert second_read("log", "verify").code == 0
    assert (home / "log.db").is_file()


@pytest.mark.parametrize("below", [(), ("deeper", "still")], ids=["is a file", "lies below a file"])
@pytest.mark.parametrize("command", ["analyse", "add", "worker", "export", "log verify"])
def test_a_home_that_cannot_be_a_folder_is_refused(
    command: str, below: tuple[str, ...], tmp_path: Path, synthetic_slide: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    home = tmp_path.joinpath("file", *below)
    extra: dict[str, tuple[object, ...]] = {
        "analyse": (synthetic_slide,),
        "add": (synthetic_slide,),
        "worker": ("--once",),
        "export": (tmp_path / "out",),
    }
    said = second_read(*command.split(), *extra.get(command, ()), "--home", home).refusal()
    assert str(home) in said
    assert (tmp_path / "file").read_text() == "mine"


def test_an_error_in_a_process_of_its_own_is_one_sentence_too(tmp_path: Path, synthetic_slide: Path) -> None:
    (tmp_path / "file").touch()
    done = second_read_process("analyse", synthetic_slide, "--json", "--home", tmp_path / "file")
    assert "is a file" in done.refusal()


def test_a_reader_that_goes_away_is_no_error() -> None:
    ended = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m core --help | head -c 1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


# ------------------------------------------------------------------------------------------- disks that do not take it


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of 2 MiB in memory; the real disk is never filled."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root on Linux")
    point = tmp_path / "disk"
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(point)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


def fill(disk: Path, *, leave: int) -> Path:
    """Fill a small file system up to a rest and return the file that does it."""
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free
    assert free < 4 << 20, "this is not the small file system"
    filler.write_bytes(bytes(free - leave))
    return filler


@pytest.mark.parametrize("leave_kib", [0, 40, 72, 120, 180])
def test_a_full_disk_is_one_sentence_and_the_log_stays_whole(
    leave_kib: int, small_disk: Path, synthetic_slide: Path
) -> None:
    home = small_disk / "home"
    before = analysed(home, synthetic_slide)
    assert before.code == 0
    whole = verified(home)
    filler = fill(small_disk, leave=leave_kib << 10)

    said = analysed(home, synthetic_slide).refusal()
    assert "space" in said
    assert not list(home.rglob("*.part"))

    filler.unlink()
    assert verified(home) == whole, "half a run is in the log"
    after = analysed(home, synthetic_slide)
    assert (after.code, after.only["scores"]) == (0, before.only["scores"])


def test_a_full_disk_leaves_a_job_to_be_done_later(small_disk: Path, synthetic_slide: Path) -> None:
    home = small_disk / "home"
    assert second_read("add", synthetic_slide, "--home", home).code == 0
    filler = fill(small_disk, leave=0)
    assert "Traceback" not in second_read("worker", "--once", "--home", home).err
    filler.unlink()
    verified(home)
    assert second_read("add", synthetic_slide, "--home", home).code == 0
    assert analysed(home, synthetic_slide).code == 0


def test_a_read_only_disk_is_one_sentence_and_the_log_stays_whole(small_disk: Path, synthetic_slide: Path) -> None:
    home = small_disk / "home"
    assert analysed(home, synthetic_slide).code == 0
    whole = verified(home)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    commands: tuple[tuple[object, ...], ...] = (("analyse", synthetic_slide), ("worker", "--once"))
    for command in commands:
        said = second_read(*command, "--home", home).refusal()
        assert str(home) in said
        assert "writable" in said, said
    assert "cannot be created" in second_read("log", "verify", "--home", small_disk / "other").refusal()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert verified(home) == whole


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits")
def test_a_home_without_permission_is_one_sentence(home: Path, synthetic_slide: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere; the read-only disk stands for this")
    home.mkdir(mode=0o555)
    assert str(home) in analysed(home, synthetic_slide).refusal()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes")
def test_files_that_may_not_grow_are_one_sentence_and_the_log_stays_whole(home: Path, synthetic_slide: Path) -> None:
    """Like a full disk, where no small one may be mounted: the system refuses every write beyond a size."""
    before = analysed(home, synthetic_slide)
    whole = verified(home)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 10, hard))
    try:
        done = analysed(home, synthetic_slide)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "space" in done.refusal()
    assert verified(home) == whole
    assert analysed(home, synthetic_slide).only["scores"] == before.only["scores"]


# -------------------------------------------------------------------------------------------- add, worker, export, log


def test_add_work_verify_export(home: Path, tmp_path: Path, synthetic_slide: Path) -> None:
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"no slide")
    added = second_read("add", synthetic_slide, broken, "--case", "C-1", "--home", home)
    assert (added.code, added.err) == (0, "")
    assert added.out.startswith("Added 2 slides; 0 were known already.\nQueued 2 analyses.")
    assert second_read("add", synthetic_slide, "--home", home).out == "Added 0 slides; 1 were known already.\n"

    assert second_read("worker", "--once", "--home", home).code == 0
    assert "whole" in verified(home)
    out = tmp_path / "out"
    assert second_read("export", out, "--home", home).code == 0
    rows = (out / "worklist.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith("C-1,")
    assert sorted(path.stem for path in (out / "model-outputs-csv").iterdir()) == ["synthetic"]


def test_the_worker_and_analyse_agree(home: Path, tmp_path: Path, synthetic_slide: Path) -> None:
    direct = analysed(tmp_path / "other", synthetic_slide).only
    second_read("add", synthetic_slide, "--home", home)
    assert second_read_process("worker", "--once", "--home", home).code == 0
    (run,) = (home / "results" / "synthetic").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "ok"
    assert record["scores"] == direct["scores"]
    assert record["tissue_mm2"] == direct["tissue_mm2"]
    assert record["qc"]["score"] == direct["qc_score"]


def test_add_without_analysis_queues_nothing(home: Path, synthetic_slide: Path) -> None:
    done = second_read("add", synthetic_slide, "--no-analysis", "--home", home)
    assert done.out == "Added 1 slides; 0 were known already.\n"
    assert second_read("worker", "--once", "--home", home).code == 0
    assert not (home / "results").exists()


TAMPERING = {
    "an altered event": ("events", "UPDATE events SET payload = '{}' WHERE seq = 2", "Event 2 "),
    "another actor": ("events", "UPDATE events SET actor = 'somebody' WHERE seq = 1", "Event 1 "),
    "a removed event": ("events", "DELETE FROM events WHERE seq = 3", "Event 3 is missing"),
    "a better score": ("runs", "UPDATE runs SET decision_score = 0.99", "event 3 "),
    "a removed run": ("predictions", "DELETE FROM predictions", "event 3 "),
}


@pytest.mark.parametrize(("table", "statement", "named"), TAMPERING.values(), ids=TAMPERING.keys())
def test_tampering_is_found_and_its_row_named(
    table: str, statement: str, named: str, home: Path, synthetic_slide: Path
) -> None:
    assert analysed(home, synthetic_slide).code == 0
    connection = sqlite3.connect(home / "log.db")
    with connection:
        with pytest.raises(sqlite3.DatabaseError, match="is append-only"):
            connection.execute(statement)
        triggers = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
        )
        for (name,) in triggers.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute(statement)
    connection.close()
    done = second_read("log", "verify", "--home", home)
    assert (done.code, done.out) == (1, "")
    assert named in done.err
    assert second_read_process("log", "verify", "--home", home) == done

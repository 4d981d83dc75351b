"""Tables of HistoQC: ours in its layout and meaning, its own taken in once, whole or not at all."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from command_kit import second_read
from hypothesis import given
from hypothesis import strategies as st
from people_kit import CLERK
from store_kit import add_slide
from verdict_kit import measured_many, people, report_of, save_map

from core.domain import NOT_FOR_DIAGNOSIS
from core.errors import InputError, NotAllowedError
from core.interop.histoqc import STEPS, HistoqcSlide, parse_table, steps_of, write_table
from core.services.quality.export import cohort_csv, histoqc_table
from core.services.quality.histoqc import import_histoqc
from core.services.quality.references import ReferenceKind, references
from core.services.quality.second_reads import ask_second_reads
from core.services.quality.verdicts import NewQcVerdict, judge
from core.settings import Settings
from core.store.verification import verify
from core.vocabulary import QcDisposition, QcReason

ABOVE = """#start_time:\t2030
#pipeline: a b
#outdir:\t/secret/mrs-x
#config_file:\t/home/x/v2.1.ini
#command_line_args:\t*
"""
COLUMNS = "filename\tcomments\tcomment\tmpp_x\tpen_markings\tblurry_removed_percent\tpixels_to_use"


def table(*rows: str, columns: str = COLUMNS) -> str:
    return f"{ABOVE}#dataset:{columns}\n" + "".join(f"{row}\n" for row in rows)


def row(filename: str, *, pen: str = "0.1", blurry: str = "0.25", pixels: str = "1000", mpp: str = "0.5") -> str:
    return f"{filename}\t\tpatient Jane\t{mpp}\t{pen}\t{blurry}\t{pixels}\t"


@pytest.fixture
def home(settings: Settings) -> Settings:
    people(settings)
    measured_many(settings, {"a": report_of({"pen": 0.2, "bubble_edge": 0.08, "out_of_focus": 0.36}), "b": report_of()})
    return settings


def table_of(text: str) -> str:
    """The rows of an export, below the sentence that says what it is for."""
    note, _, rows = text.partition("\n")
    assert note == f"# {NOT_FOR_DIAGNOSIS}"
    return rows


def test_each_step_is_a_share_of_what_the_steps_before_left() -> None:
    found = steps_of(10.0, {"pen": 2.0, "bubble_edge": 0.8, "out_of_focus": 3.6})
    assert found == pytest.approx({"pen_markings": 0.2, "coverslip_edge": 0.1, "blurry_removed_percent": 0.5})
    assert steps_of(0.0, {}) == dict.fromkeys(STEPS, -100.0)
    assert steps_of(2.0, {"pen": 2.0})["blurry_removed_percent"] == -100.0


@given(areas=st.lists(st.floats(0, 3), min_size=3, max_size=3), clean=st.floats(0.01, 5))
def test_the_steps_lead_to_what_is_left(areas: list[float], clean: float) -> None:
    kinds = dict(zip(STEPS.values(), areas, strict=True))
    left = total = sum(areas) + clean
    for share in steps_of(total, kinds).values():
        left *= 1 - share
    assert left == pytest.approx(clean, rel=1e-6)


def test_our_table_is_read_by_the_reader_of_theirs(home: Settings) -> None:
    text = histoqc_table(home, actor="quentin")
    lines = text.splitlines()
    assert [line[0] for line in lines[:6]] == ["#"] * 6
    assert lines[5].startswith("#dataset:filename\t")
    found = {one.filename: one.metrics for one in parse_table(text, name="r.tsv").rows}
    assert found["a.svs"]["pen_markings"] == pytest.approx(0.2)
    assert found["a.svs"]["coverslip_edge"] == pytest.approx(0.1)
    assert found["a.svs"]["blurry_removed_percent"] == pytest.approx(0.5)
    assert found["a.svs"]["pixels_to_use"] == pytest.approx(3.6e6 / 64)
    assert found["b.svs"]["sr_score"] == 1.0


def test_a_cell_never_breaks_a_line() -> None:
    slide = {"filename": "a\tb\n.svs", "comments": "", "type": "x", "levels": None, "height": 1, "width": 1}
    one = HistoqcSlide(
        **slide, mpp_x=0.5, mpp_y=0.5, steps=steps_of(1, {}), usable_mm2=1.0, own={}, warnings=("two\nlines",)
    )
    facts = dict.fromkeys("abcde", "x\ty")
    assert len(write_table([one], facts=facts).splitlines()) == 7
    assert parse_table(write_table([one], facts=facts), name="x").rows[0].filename == "a b .svs"
    with pytest.raises(InputError, match="Five lines"):
        write_table([one], facts={})


def test_hidden_verdicts_are_in_no_export(home: Settings) -> None:
    judge(home, "a", NewQcVerdict(disposition=QcDisposition.RESCAN, reason=QcReason.OUT_OF_FOCUS), actor="quentin")
    ask_second_reads(home, ["a"], reader="quinn", actor="quentin")
    assert "quentin" in cohort_csv(home, actor="quirin")
    assert "quentin" not in cohort_csv(home, actor="quinn")
    verdicts = {name: histoqc_table(home, actor=name).count("\trescan\t") for name in ("quirin", "quinn")}
    assert verdicts == {"quirin": 1, "quinn": 0}
    rows = list(csv.DictReader(io.StringIO(table_of(cohort_csv(home, actor="quinn")))))
    assert [one["verdict"] for one in rows] == ["", ""]
    rows = list(csv.DictReader(io.StringIO(table_of(cohort_csv(home, actor="quirin")))))
    assert {one["slide"]: one["verdict"] for one in rows} == {"a": "rescan", "b": ""}
    with pytest.raises(NotAllowedError):
        cohort_csv(home, actor="vic")


def test_the_cohort_has_every_part_and_unmeasured_slides(home: Settings) -> None:
    add_slide(home, "=cmd")
    rows = {one["slide"]: one for one in csv.DictReader(io.StringIO(table_of(cohort_csv(home, actor="quentin"))))}
    assert set(rows) == {"a", "b", "'=cmd"}
    a = rows["a"]
    assert float(a["pen_of_tissue"]) == pytest.approx(0.2)
    assert float(a["out_of_focus_mm2"]) == pytest.approx(3.6)
    assert (a["first_dye_r"], a["stain_seen"], a["sections"]) == ("0.65", "he", "1")
    assert rows["'=cmd"]["score"] == ""


def test_a_table_is_taken_in_once_and_compared(home: Settings, tmp_path: Path) -> None:
    path = tmp_path / "results.tsv"
    path.write_text(table(row("C:\\scans\\A.SVS"), row("b.svs", pen="-100")))
    dry = import_histoqc(home, path, dry_run=True, actor="quentin")
    assert (dry.found, dry.added, dry.written, dry.errors) == (2, 2, False, ())
    assert references(home, "a", actor="quentin") == ()
    assert import_histoqc(home, path, dry_run=False, actor="quentin").written
    again = import_histoqc(home, path, dry_run=False, actor=CLERK)
    assert (again.added, again.known) == (0, 2)
    (found,) = references(home, "a", actor="vic")
    assert (found.kind, found.name, found.version, found.author) == (
        ReferenceKind.HISTOQC,
        "HistoQC",
        "v2.1.ini",
        "quentin",
    )
    assert found.figures == {
        "pen_markings": {"histoqc": 0.1, "ours": pytest.approx(0.2)},
        "blurry_removed_percent": {"histoqc": 0.25, "ours": pytest.approx(0.5)},
    }
    text = str(found.metrics)
    assert "Jane" not in text, "image descriptions may name patients"
    assert "secret" not in text
    assert references(home, "b", actor="vic")[0].metrics["figures"]["pen_markings"] is None
    assert verify(home).ok


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("ghost.svs")], "no slide of the file"),
        ([row("a.svs", pen="much")], "is no number"),
        ([row("a.svs", blurry="25")], "out of range"),
        ([row("a.svs", blurry="nan")], "is no number"),
        ([row("a.svs"), row("a.svs", pen="0.3")], "row 8 already"),
        ([row("")], "file name is missing"),
        (["a.svs\t0.1"], "2 cells for 7 columns"),
    ],
)
def test_one_bad_row_keeps_everything_out(home: Settings, tmp_path: Path, rows: list[str], words: str) -> None:
    path = tmp_path / "results.tsv"
    path.write_text(table(row("b.svs"), *rows))
    before = verify(home).rows
    report = import_histoqc(home, path, dry_run=False, actor="quentin")
    assert not report.written
    assert any(words in error.message for error in report.errors), report.errors
    assert {error.row for error in report.errors} <= {8, 9}
    assert verify(home).rows == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no line that begins"),
        ("filename\tpen\na.svs\t1\n", "no line that begins"),
        (table(columns="name\tpen_markings"), "no column 'filename'"),
        (table(columns="filename\tpen_markings\tpen_markings"), "twice"),
        (table("a.svs\t1", columns="filename\tlevels"), "none of the figures"),
        (table(), "no slides below"),
    ],
)
def test_files_that_are_no_table_of_histoqc_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_table(text, name="r.tsv")


def test_wrong_files_are_refused_in_a_sentence(home: Settings, tmp_path: Path) -> None:
    binary = tmp_path / "results.tsv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        import_histoqc(home, binary, dry_run=True, actor="quentin")
    with pytest.raises(InputError, match="cannot be read"):
        import_histoqc(home, tmp_path / "absent.tsv", dry_run=True, actor="quentin")
    with pytest.raises(NotAllowedError):
        import_histoqc(home, tmp_path / "absent.tsv", dry_run=True, actor="vic")


def test_the_commands_write_and_read_the_same_table(home: Settings, tmp_path: Path) -> None:
    out = tmp_path / "results.tsv"
    done = second_read("qc-export", out, "--home", home.home)
    assert (done.code, done.out) == (0, f"Wrote {out}\n")
    done = second_read("qc-import", out, "--json", "--home", home.home)
    assert (done.code, done.only["added"], done.only["errors"]) == (0, 2, [])
    assert second_read("qc-import", out, "--home", home.home).out.endswith("2 were known already.\n")
    out.write_text(table(row("ghost.svs")))
    done = second_read("qc-import", out, "--home", home.home)
    assert (done.code, "no slide of the file" in done.err) == (2, True)
    assert done.out.endswith("1 row or cell cannot be taken, so nothing was written.\n")
    assert "must end in" in second_read("qc-export", tmp_path / "a.txt", "--home", home.home).refusal()
    save_map(home, "a", np.zeros((3, 4), np.uint8), tissue=np.ones((3, 4), bool))
    report = tmp_path / "a.html"
    assert second_read("qc-export", report, "--slide", "a", "--home", home.home).code == 0
    assert "Quality of a" in report.read_text()


@pytest.mark.parametrize("name", ["results.tsv", "quality.csv"])
def test_an_export_without_slides_says_so(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    done = second_read("qc-export", out, "--home", tmp_path / "home")
    assert done.code == 0
    assert done.out.startswith(f"Wrote {out} without a row: no slide here is measured. Add slides")
    assert out.is_file()

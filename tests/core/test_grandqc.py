"""Masks of GrandQC and outlines of people: read, kept once or not at all, compared with our map, shown in a report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_kit import second_read
from numpy.typing import NDArray
from PIL import Image
from verdict_kit import measured_many, people, report_of, save_map

from core.domain import Size
from core.errors import InputError, NotAllowedError, NotFoundError
from core.interop.grandqc import read_grandqc_mask
from core.qc.classes import NO_TISSUE, ArtefactClass
from core.qc.comparison import NOT_JUDGED
from core.services.quality.comparison import compare_reference
from core.services.quality.document import qc_document, qc_report_html, qc_report_pdf
from core.services.quality.grandqc import import_grandqc, masks_at
from core.services.quality.reference_picture import reference_picture
from core.services.quality.references import add_reference, references
from core.services.quality.second_reads import ask_second_reads
from core.services.quality.verdicts import NewQcVerdict, judge
from core.settings import Settings
from core.store.verification import verify
from core.vocabulary import QcDisposition, QcReason

PEN = ArtefactClass.PEN
SHAPE = (30, 50)
SLIDE = Size(500, 300)
"""Ten level-0 pixels to one of our map's."""


def ours() -> NDArray[np.uint8]:
    """Tissue in the upper 20 rows; pen on the left 10 columns, on glass as well."""
    labels = np.full(SHAPE, NO_TISSUE, np.uint8)
    labels[:20] = ArtefactClass.CLEAN.code
    labels[:, :10] = PEN.code
    return labels


def tissue() -> NDArray[np.bool_]:
    there = np.zeros(SHAPE, bool)
    there[:20] = True
    return there


def theirs(*, scale: int = 2) -> NDArray[np.uint8]:
    """The same in GrandQC's numbers, pen five columns further, background below, a margin at the right end."""
    values = np.full(SHAPE, 7, np.uint8)
    values[:20] = 1
    values[:20, 5:15] = 4
    values[:, 45:] = 0
    return values.repeat(scale, 0).repeat(scale, 1)


def write(path: Path, values: NDArray[np.generic]) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def home(settings: Settings) -> Settings:
    """Slides a and b, each with a map of 10 mm2 of tissue."""
    people(settings)
    measured_many(settings, {"a": report_of({"pen": 0.2}), "b": report_of({"pen": 0.2})})
    for slide_id in "ab":
        save_map(settings, slide_id, ours(), tissue=tissue())
    return settings


def test_numbers_become_our_classes(tmp_path: Path) -> None:
    values = np.tile(np.arange(8, dtype=np.uint8), (6, 1)).repeat(10, 1)[:, :80]
    mask = read_grandqc_mask(write(tmp_path / "a.svs_mask.png", values), slide=Size(800, 60))
    row = mask.labels[0, ::10].tolist()
    names = ["clean", "fold", "dark_spot_foreign", "pen", "bubble_edge", "out_of_focus"]
    assert row == [NOT_JUDGED, *(ArtefactClass(name).code for name in names), NO_TISSUE]
    assert {kind.value for kind in mask.told_apart} == set(names) - {"clean"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((60, 100), 8, np.uint8), "holds the values 8"),
        (np.array([[0, 255]], np.uint8).repeat(60, 0).repeat(50, 1), "holds the values 255"),
        (np.full((60, 100), 7, np.uint8), "no tissue at all"),
        (np.array([[0, 0]], np.uint8).repeat(60, 0).repeat(50, 1), "no tissue at all"),
        (np.ones((60, 80), np.uint8), "does not fit the slide"),
        (np.ones((100, 60), np.uint8), "does not fit the slide"),
        (np.ones((60, 100, 3), np.uint8), "picture in colours"),
    ],
)
def test_masks_of_something_else_are_refused(tmp_path: Path, values: NDArray[np.uint8], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_grandqc_mask(write(tmp_path / "m.png", values), slide=SLIDE)


@pytest.mark.parametrize("size", [(99, 59), (100, 60), (100, 59), (101, 60), (5, 3)])
def test_a_mask_may_end_a_pixel_before_the_slide(tmp_path: Path, size: tuple[int, int]) -> None:
    mask = read_grandqc_mask(write(tmp_path / "m.png", np.ones(size[::-1], np.uint8)), slide=SLIDE)
    assert mask.labels.shape == size[::-1]


def test_masks_are_taken_in_once_and_compared_with_ours(home: Settings, tmp_path: Path) -> None:
    for name in ("a.svs", "b"):
        write(tmp_path / "mask_qc" / f"{name}_mask.png", theirs())
    masks = masks_at(tmp_path / "mask_qc")
    dry = import_grandqc(home, masks, dry_run=True, actor="quentin")
    assert (dry.found, dry.added, dry.written) == (2, 2, False)
    assert not (home.home / "results" / "a" / "references").exists()
    assert import_grandqc(home, masks, version="1", dry_run=False, actor="quentin").added == 2
    again = import_grandqc(home, masks, version="1", dry_run=False, actor="quinn")
    assert (again.added, again.known) == (0, 2)
    (found,) = references(home, "a", actor="vic")
    # 45 of 50 columns are judged, 20 rows of tissue: ours 0-9, theirs 5-14.
    counted = found.figures["any"]
    assert [counted[name] for name in ("both", "found_only", "missed", "neither")] == [100, 100, 100, 600]
    assert counted["dice"] == pytest.approx(0.5)
    assert counted["both_mm2"] == pytest.approx(100 * 10.0 / 1000)
    assert found.figures["not_judged_mm2"] == pytest.approx(1.0)
    assert found.figures["tissue"]["dice"] == 1.0
    assert found.figures["whole_slide"]["found_only"] == 100 + 100, "our pen on glass, below the tissue"
    assert found.metrics["shares_of_tissue"]["pen"] == pytest.approx(200 / 900)
    assert (found.name, found.version, found.source_id) == ("GrandQC", "1", "measurement:1")
    assert verify(home).ok


def test_an_artefact_on_tissue_that_we_overlook_is_missed(home: Settings, tmp_path: Path) -> None:
    values = theirs()
    values[40:50, :20] = 2
    write(tmp_path / "a.svs_mask.png", values)
    import_grandqc(home, [tmp_path / "a.svs_mask.png"], dry_run=False, actor="quentin")
    figures = references(home, "a", actor="vic")[0].figures
    assert figures["classes"]["fold"]["missed"] == 50
    assert figures["tissue"]["missed"] == 50
    assert figures["any"]["both"] == 100 + 50, "we call it pen there"


def test_one_bad_mask_keeps_all_out(home: Settings, tmp_path: Path) -> None:
    write(tmp_path / "m" / "a.svs_mask.png", theirs())
    write(tmp_path / "m" / "b.svs_mask.png", theirs()[:, :60])
    write(tmp_path / "m" / "ghost.svs_mask.png", theirs())
    before = verify(home).rows
    report = import_grandqc(home, masks_at(tmp_path / "m"), dry_run=False, actor="quentin")
    assert [(error.row, error.message.split(":")[0]) for error in report.errors] == [
        (2, "b.svs_mask.png"),
        (3, "ghost.svs_mask.png"),
    ]
    assert (report.added, report.written) == (0, False)
    assert verify(home).rows == before
    assert not (home.home / "results" / "a" / "references").exists()


def test_two_masks_of_one_slide_are_told(home: Settings, tmp_path: Path) -> None:
    paths = [write(tmp_path / "x" / "a.svs_mask.png", theirs()), write(tmp_path / "y" / "a_mask.png", theirs(scale=3))]
    report = import_grandqc(home, paths, dry_run=False, actor="quentin")
    assert "another mask of a" in report.errors[0].message
    assert import_grandqc(home, [paths[0], paths[0]], dry_run=False, actor="quentin").known == 1


def test_a_write_that_fails_leaves_no_file(home: Settings, tmp_path: Path) -> None:
    write(tmp_path / "m" / "a.svs_mask.png", theirs())
    write(tmp_path / "m" / "b.svs_mask.png", theirs())
    # A file where the folder of b's references has to be.
    (home.home / "results" / "b" / "references").write_text("")
    before = verify(home).rows
    with pytest.raises(OSError, match="cannot be written"):
        import_grandqc(home, masks_at(tmp_path / "m"), dry_run=False, actor="quentin")
    assert verify(home).rows == before
    assert list((home.home / "results" / "a" / "references").iterdir()) == []


def test_a_folder_without_masks_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file that ends in"):
        masks_at(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        masks_at(tmp_path / "absent")


def test_only_who_may_import_does(home: Settings, tmp_path: Path) -> None:
    for actor in ("vic", "paula"):
        with pytest.raises(NotAllowedError):
            import_grandqc(home, [write(tmp_path / "a_mask.png", theirs())], dry_run=True, actor=actor)


def outlines(path: Path) -> Path:
    ring = [[0, 0], [50, 0], [50, 200], [0, 200], [0, 0]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": "Pen"}},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_outlines_of_a_person_are_kept_with_a_score_and_drawn(home: Settings, tmp_path: Path) -> None:
    path = outlines(tmp_path / "a.geojson")
    told = compare_reference(home, "a", path, actor="vic")
    assert told["classes"]["pen"]["tpr"] == 1.0
    assert told["any"]["found_only"] == 100
    assert references(home, "a", actor="vic") == ()
    kept = add_reference(home, "a", path, name="Dr. F", usable=False, human_score=2, note="n", actor="quentin")
    assert add_reference(home, "a", path, name="Dr. F", usable=False, human_score=2, note="n", actor="quinn") == kept
    assert (kept.usable, kept.human_score, kept.figures) == (False, 2, told)
    picture = reference_picture(home, "a", kept.reference_id, actor="vic")
    assert picture.rgba.shape == (*SHAPE, 4)
    assert picture.rgba[0, 0].tolist() == [0, 0, 255, 200]
    assert picture.rgba[0, 7].tolist() == [255, 0, 0, 200]
    assert picture.rgba[25, 0].tolist() == [0, 0, 0, 0], "pen on glass is no tissue"
    areas = {words: area for words, (_, area) in picture.legend.items()}
    assert areas == pytest.approx(
        {"annotated and found": 1.0, "found but not annotated": 1.0, "annotated and missed": 0.0}
    )
    assert "Dr. F" in picture.about
    with pytest.raises(NotFoundError, match="does not tell fold apart"):
        reference_picture(home, "a", kept.reference_id, artefact=ArtefactClass.FOLD, actor="vic")
    with pytest.raises(NotFoundError):
        reference_picture(home, "b", kept.reference_id, actor="vic")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "x"}, "Give outlines"),
        ({"name": " ", "usable": True}, "name of who"),
        ({"name": "x", "human_score": 6}, "between 0"),
        ({"name": "x", "usable": True, "note": "x" * 5000}, "4000"),
    ],
)
def test_a_reference_that_says_nothing_is_refused(home: Settings, given: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        add_reference(home, "a", None, actor="quentin", **given)


def test_a_score_is_kept_without_a_map_and_hidden_from_a_blinded_reader(home: Settings) -> None:
    kept = add_reference(home, "a", None, name="quentin", usable=True, human_score=4, actor="quentin")
    assert (kept.mask_path, kept.figures) == (None, None)
    judge(home, "a", NewQcVerdict(disposition=QcDisposition.ACCEPT), actor="quentin")
    ask_second_reads(home, ["a"], reader="quinn", actor="quentin")
    assert references(home, "a", actor="quinn") == ()
    assert "4 of 5" not in qc_report_html(home, "a", actor="quinn")
    assert "4 of 5" in qc_report_html(home, "a", actor="quirin")
    with pytest.raises(NotAllowedError):
        add_reference(home, "a", None, name="x", usable=True, actor="paula")


def test_without_a_map_there_is_nothing_to_compare(home: Settings, tmp_path: Path) -> None:
    (home.home / "results" / "a" / "qc" / "qc_map.png").unlink()
    with pytest.raises(NotFoundError, match="Measure its quality again"):
        compare_reference(home, "a", outlines(tmp_path / "a.json"), actor="vic")
    assert add_reference(home, "a", outlines(tmp_path / "a.json"), name="x", actor="quentin").figures is None


def test_the_report_tells_all_that_it_should(home: Settings, tmp_path: Path) -> None:
    verdict = NewQcVerdict(disposition=QcDisposition.RESCAN, reason=QcReason.PEN, note="ink <over> tumour")
    judge(home, "a", verdict, actor="quentin")
    write(tmp_path / "a.svs_mask.png", theirs())
    import_grandqc(home, [tmp_path / "a.svs_mask.png"], dry_run=False, actor="quentin")
    text = qc_report_html(home, "a", actor="paula")
    for words in (
        "Pen",
        "20.00%",
        "2.000",
        "1 minus the share of tissue",
        "ink &lt;over&gt; tumour",
        "ab" * 32,
        "qc-limits-1",
        "openslide.mpp",
        "haematoxylin",
        "GrandQC",
        "data:image/png;base64",
        "not for primary diagnosis",
    ):
        assert words in text, words
    assert "macro" not in text
    assert qc_report_pdf(home, "a", actor="paula").startswith(b"%PDF")
    with pytest.raises(NotAllowedError):
        qc_document(home, "a", actor="vic")
    with pytest.raises(InputError, match="no slide"):
        qc_document(home, "ghost", actor="paula")


def test_a_blinded_reader_takes_out_a_report_without_the_verdict(home: Settings) -> None:
    judge(home, "a", NewQcVerdict(disposition=QcDisposition.RESCAN, reason=QcReason.PEN), actor="quentin")
    ask_second_reads(home, ["a"], reader="quinn", actor="quentin")
    text = qc_report_html(home, "a", actor="quinn")
    assert "quentin" not in text
    assert "Hidden until your own verdict" in text
    assert "quentin" in qc_report_html(home, "a", actor="quirin")


def test_the_commands_import_and_compare(home: Settings, tmp_path: Path) -> None:
    write(tmp_path / "mask_qc" / "a.svs_mask.png", theirs())
    done = second_read("qc-import", tmp_path / "mask_qc", "--dry-run", "--json", "--home", home.home)
    assert (done.code, done.only["added"], done.only["written"]) == (0, 1, False)
    path = outlines(tmp_path / "a.geojson")
    done = second_read("qc-compare", "a", path, "--json", "--home", home.home)
    assert done.only["classes"]["pen"]["dice"] == pytest.approx(2 * 100 / 300)
    done = second_read("qc-compare", "a", path, "--home", home.home)
    assert "0.667" in done.out
    assert "no slide" in second_read("qc-compare", "ghost", path, "--home", home.home).refusal()
    usable = write(tmp_path / "mask_use.png", ~(ours() == PEN.code))
    done = second_read("qc-compare", "a", usable, "--usable", "--json", "--home", home.home)
    assert done.only["any"]["dice"] == 1.0
    assert (
        "Leave the artefact out"
        in second_read("qc-compare", "a", usable, "--usable", "--artefact", "pen", "--home", home.home).refusal()
    )

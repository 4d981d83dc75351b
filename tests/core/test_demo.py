"""The demonstration: phantoms go the way of real slides, and the cohort tells the story that it is made for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_kit import second_read_process
from people_kit import enrol
from store_kit import listed

from core.domain import CaseStatus, FlagKind, ReadCategory, Size, SlideStatus, Stain
from core.phantom.cases import READER, DemoCase, DemoSlide
from core.phantom.cohort import write_cases
from core.phantom.spec import GrowthPattern, Lesion, PhantomSpec, TissueMix
from core.services import catalogue
from core.services.cases import review, worklist
from core.services.story.demo import load_cohort
from core.services.story.start import is_demonstration
from core.services.story.story import story
from core.settings import Settings

SMALL = Size(2560, 2048)
"""1.3 x 1 mm: rendered in two seconds."""


def case(
    case_id: str, *specs: PhantomSpec | None, diagnosis: ReadCategory | None = None, note: str = "Seen."
) -> DemoCase:
    slides = tuple(
        DemoSlide(f"{case_id}-{number}.{'tif' if spec else 'svs'}", spec.stain if spec else Stain.HE, spec)
        for number, spec in enumerate(specs, start=1)
    )
    return DemoCase(case_id, "North", "Scanner A", slides, diagnosis, 4 if diagnosis else None, note)


CASES: Sequence[DemoCase] = (
    case(
        "P-1",
        PhantomSpec(1, SMALL, lesions=(Lesion(500, GrowthPattern.SOLID, grade=3, density=0.66),), write_mpp=False),
        diagnosis=ReadCategory.MALIGNANT,
    ),
    case(
        "P-2", PhantomSpec(2, SMALL, tissue=TissueMix(fat=0.6)), None, diagnosis=ReadCategory.BENIGN, note="Fat only."
    ),
    case("P-3", PhantomSpec(3, SMALL, stain=Stain.IHC)),
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path, list[tuple[str, int, int]]]:
    """A home with three small cases, their manifest, and the progress that was told."""
    home = tmp_path_factory.mktemp("demo") / "home"
    settings = Settings(home=home, device="cpu")
    manifest = write_cases(home / "phantoms", CASES)
    told: list[tuple[str, int, int]] = []
    load_cohort(settings, manifest, progress=lambda *news: told.append(news))
    return settings, manifest, told


Loaded = tuple[Settings, Path, list[tuple[str, int, int]]]


def test_every_slide_of_the_cohort_has_a_result_or_a_reason(loaded: Loaded) -> None:
    settings, _, told = loaded
    assert told == [("Analysing slides", done, 4) for done in (1, 2, 3, 4)]
    states = {slide.slide_id: slide.status for slide in catalogue.list_slides(settings)}
    assert states == {
        "P-1-1": SlideStatus.OK,
        "P-2-1": SlideStatus.OK,
        "P-2-2": SlideStatus.UNREADABLE,
        "P-3-1": SlideStatus.NOT_APPLICABLE,
    }
    assert catalogue.get_slide(settings, "P-1-1").mpp_source == "user", "the manifest gives the scale the file lacks"
    assert catalogue.get_slide(settings, "P-2-1").mpp_source == "tiff.resolution"
    assert catalogue.verify_log(settings).ok


def test_the_seeded_diagnoses_were_recorded_before_the_model_was_seen(loaded: Loaded) -> None:
    settings, _, _ = loaded
    reads = {one.case_id: worklist.case_detail(settings, one.case_id).diagnoses for one in CASES}
    assert [(read.category, read.reader, read.text) for read in reads["P-2"]] == [
        ("benign", f"{READER} (demonstration)", "Fat only.")
    ]
    assert [(read.category, read.confidence) for read in reads["P-1"]] == [("malignant", 4)]
    assert reads["P-3"] == ()
    assert {read.stage.value for read in (*reads["P-1"], *reads["P-2"])} == {"before_model"}


def test_the_large_tumour_scores_above_the_fat(loaded: Loaded) -> None:
    settings, _, _ = loaded
    rows = {row.case_id: row for row in listed(settings)}
    tumour, fat = rows["P-1"].model_score, rows["P-2"].model_score
    assert tumour is not None
    assert fat is not None
    assert tumour > fat
    assert [slide_id for slide_id, _ in rows["P-2"].slides_failed] == ["P-2-2"]


def test_a_second_time_does_nothing_and_keeps_what_people_did(loaded: Loaded) -> None:
    settings, manifest, _ = loaded
    enrol(settings, "ann")
    review.record_diagnosis(
        settings, "P-3", category=ReadCategory.INDETERMINATE, grade=None, text="", confidence=None, actor="ann"
    )
    before = catalogue.verify_log(settings).rows
    told: list[tuple[str, int, int]] = []
    load_cohort(settings, manifest, progress=lambda *news: told.append(news))
    assert told == []
    assert catalogue.verify_log(settings).rows == before
    assert len(worklist.case_detail(settings, "P-3").diagnoses) == 1


@pytest.mark.timeout(400)
def test_the_demonstration_tells_its_story(tmp_path: Path) -> None:
    """The whole cohort as `make demo` prepares it: the one test that takes about a minute."""
    settings = Settings(home=tmp_path / "demo")
    prepared = second_read_process("demo", "--prepare-only", "--home", settings.home, timeout_s=380)
    assert prepared.code == 0, prepared
    assert "Generating slides: 15 of 15" in prepared.err
    assert "Analysing slides: 15 of 15" in prepared.err

    rows = listed(settings)
    by_id = {row.case_id: row for row in rows}
    kinds = {row.case_id: {flag.kind for flag in row.flags} for row in rows}
    assert (len(rows), sum(row.slides for row in rows)) == (11, 15)
    # The missed focal tumour stands first: read as benign, found on the second of two slides.
    assert rows[0].case_id == "SR-0103"
    assert rows[0].diagnosis is ReadCategory.BENIGN
    (missed,) = (flag for flag in rows[0].flags if flag.kind is FlagKind.MODEL_HIGHER)
    assert missed.slide_id == "SR-0103-B"
    assert missed.x is not None
    # The over-call; the slide too blurred to judge; the file that cannot be read, with its reason.
    assert FlagKind.MODEL_LOWER in kinds["SR-0104"]
    # The model's own miss: a flag that is wrong.
    assert (FlagKind.MODEL_LOWER in kinds["SR-0111"], by_id["SR-0111"].diagnosis) == (True, ReadCategory.MALIGNANT)
    assert FlagKind.QC_LIMITED in kinds["SR-0105"]
    assert FlagKind.NO_RESULT in kinds["SR-0106"]
    ((slide_id, reason),) = by_id["SR-0106"].slides_failed
    assert slide_id == "SR-0106-B"
    assert len(reason) > 20
    # Agreements.
    for case_id in ("SR-0101", "SR-0102"):
        assert (by_id[case_id].status, kinds[case_id]) == (CaseStatus.CONCORDANT, set())
    assert by_id["SR-0110"].status is CaseStatus.UNREAD
    chapters = story(settings, actor="demonstration (command line)")
    assert [chapter.kind for chapter in chapters if chapter.case_id is None] == []
    assert is_demonstration(settings)
    checked = catalogue.verify_log(settings)
    assert checked.ok

    # Again: quick, and nothing is done twice.
    started = time.monotonic()
    again = second_read_process("demo", "--prepare-only", "--home", settings.home)
    assert again.code == 0
    assert time.monotonic() - started < 15
    assert "Analysing" not in again.err
    assert catalogue.verify_log(settings).rows == checked.rows
    assert [row.case_id for row in listed(settings)] == [row.case_id for row in rows]

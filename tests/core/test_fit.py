"""A model refuses slides it is not made for; a reason overrides, and the log, the run and the flags say so."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_kit import Done, second_read
from conftest import tissue_image, write_pyramid
from people_kit import enrol
from store_kit import add_slide, run_of

from core.domain import JobState, Mpp, MppSource, SlideStatus, Stain
from core.errors import ConflictError, InputError, NotAllowedError, NotApplicableError
from core.roles import Role
from core.services import catalogue
from core.services.analysis.analyse import analyse_and_record, analyse_slide
from core.services.analysis.fit import Override, fit_of, fit_settings, not_checked, override_words, same_tissue
from core.services.cases import review
from core.services.catalogue import SlideRequest
from core.services.queue import jobs
from core.services.queue.worker import run_worker
from core.services.rules.flagging import refresh_flags
from core.settings import Settings
from core.store import jobs as queue
from core.store.connection import open_log, writing
from core.store.records import NOT_CHECKED, OVERRIDE, EventRecord, RunResult, SlideRecord
from core.store.results import save_run
from core.store.values import utc_now
from models.cards import ModelCard, load_card

FINE = Mpp(0.5, 0.5, MppSource.USER)
DEAD_PID = 2**22 + 1
"""More than any kernel gives out."""


@pytest.fixture
def card() -> ModelCard:
    return load_card("idc")


def slide_of(stain: Stain = Stain.HE, tissue: str | None = "breast") -> SlideRecord:
    return SlideRecord(slide_id="s", case_id="c", path="s.svs", stain=stain, tissue=tissue, added_at=utc_now())


@pytest.mark.parametrize(
    ("slide", "mpp", "unfit", "unchecked"),
    [
        (slide_of(), FINE, [], []),
        (slide_of(tissue="Breast "), FINE, [], []),
        (slide_of(Stain.IHC), FINE, ["made for HE slides, and this one is IHC"], []),
        (slide_of(tissue="lung"), FINE, ["made for breast, and this slide is lung"], []),
        (slide_of(), Mpp(4.3, 4.3, MppSource.USER), [], []),
        (slide_of(), Mpp(5.0, 5.0, MppSource.USER), ["needs 4 um/px or finer, and this slide has 5"], []),
        (slide_of(Stain.UNKNOWN), FINE, [], ["stain is not stated"]),
        (slide_of(tissue=None), FINE, [], ["tissue is not stated"]),
        (slide_of(Stain.IHC, "lung"), Mpp(8.0, 8.0, MppSource.USER), ["IHC", "lung", "um/px"], []),
        (slide_of(Stain.UNKNOWN, "lung"), FINE, ["lung"], ["stain"]),
    ],
)
def test_every_way_not_to_fit(
    card: ModelCard, slide: SlideRecord, mpp: Mpp, unfit: list[str], unchecked: list[str]
) -> None:
    found = fit_of(card, slide, mpp)
    assert len(found.unfit) == len(unfit)
    assert len(found.not_checked) == len(unchecked)
    assert all(part in text for part, text in zip(unfit, found.unfit, strict=True))
    assert all(part in text for part, text in zip(unchecked, found.not_checked, strict=True))


def test_a_model_that_is_not_for_slides_is_refused_on_the_best_of_slides(card: ModelCard) -> None:
    patches_only = replace(card, for_slides=False, for_slides_note="The scale of its training data is unknown.")
    assert fit_of(patches_only, slide_of(), FINE).unfit == (
        "it is not for slides (The scale of its training data is unknown)",
    )
    with pytest.raises(NotApplicableError, match="scale of its training data is unknown"):
        fit_settings(patches_only, slide_of(), FINE, override=None)
    said = fit_settings(patches_only, slide_of(), FINE, override=Override("to see", "ann"))
    unfit = list(fit_of(patches_only, slide_of(), FINE).unfit)
    assert said[OVERRIDE] == {"reason": "to see", "actor": "ann", "unfit": unfit}


def test_a_card_may_name_several_tissues() -> None:
    assert same_tissue("Pleura", "lung, pleura")
    assert not same_tissue("lun", "lung, pleura")


def test_a_reason_for_a_slide_that_fits_leaves_no_trace(card: ModelCard) -> None:
    assert fit_settings(card, slide_of(), FINE, override=Override("in case", "ann")) == {}


@pytest.mark.parametrize("reason", ["", "   "])
def test_an_empty_reason_is_none(settings: Settings, reason: str) -> None:
    slide = add_slide(settings, "a")
    with pytest.raises(InputError, match="Say why"):
        jobs.enqueue(settings, [slide], override_reason=reason, actor="ann")
    assert jobs.list_jobs(settings) == []


# ------------------------------------------------------------------------------------------------- the real analysis


@pytest.fixture
def ihc(settings: Settings, synthetic_slide: Path) -> Settings:
    """A home with one IHC slide of the breast."""
    enrol(settings, "ann")
    request = SlideRequest(synthetic_slide, "C", stain=Stain.IHC, tissue="Breast")
    catalogue.add_slides(settings, [request], actor="ann")
    return settings


def events_of_kind(settings: Settings, action: str, *, case_id: str = "C") -> list[EventRecord]:
    return [event for event in review.case_history(settings, case_id) if event.action == action]


def test_without_a_reason_the_slide_has_no_result(ihc: Settings) -> None:
    run = analyse_and_record(ihc, "synthetic", actor="ann")
    assert run.status is SlideStatus.NOT_APPLICABLE
    assert "is made for HE slides, and this one is IHC" in run.message
    assert run.scores == {}
    assert events_of_kind(ihc, "override.given") == []


def test_with_a_reason_it_runs_and_everything_says_so(ihc: Settings) -> None:
    run = analyse_and_record(ihc, "synthetic", override_reason=" it is H&E, mislabelled ", actor="ann")
    assert run.status is SlideStatus.OK
    assert run.scores
    (event,) = events_of_kind(ihc, "override.given")
    assert event.actor == "ann"
    assert event.payload == {"run_id": run.run_id, "model": "idc", "reason": "it is H&E, mislabelled"}
    (kept,) = catalogue.slide_runs(ihc, "synthetic")
    words = override_words(kept)
    assert words is not None
    assert kept.message == words
    for said in ("not made for this slide", "this one is IHC", "Reason given by ann: it is H&E, mislabelled"):
        assert said in words
    (saved,) = events_of_kind(ihc, "run.saved")
    assert saved.payload[OVERRIDE] == kept.settings[OVERRIDE]
    record = json.loads((ihc.home / str(kept.results_dir) / "run.json").read_text())
    assert record["settings"][OVERRIDE]["reason"] == "it is H&E, mislabelled"


def test_flags_on_an_overridden_result_say_so(ihc: Settings) -> None:
    def flags(reason: str | None) -> list[str]:
        run = replace(run_of("synthetic", run_id=f"r{reason}", score=0.5), message="")
        told = {} if reason is None else {OVERRIDE: {"reason": reason, "actor": "ann", "unfit": ["x"]}}
        with open_log(ihc) as database, writing(database):
            save_run(database, replace(run, settings={**run.settings, **told}))
        return [flag.reason for flag in refresh_flags(ihc, "C", actor="ann")]

    (plain,) = flags(None)
    (overridden,) = flags("why")
    assert "not made for" not in plain
    assert "threshold 0.50, run although the model is not made for this slide" in overridden


def test_a_coarser_slide_runs_with_a_reason(settings: Settings, tmp_path: Path) -> None:
    enrol(settings, "ann")
    path = write_pyramid(tmp_path / "coarse.tif", tissue_image(1024, 768), mpp=6.0)
    catalogue.add_slides(settings, [SlideRequest(path, stain=Stain.HE, tissue="breast")], actor="ann")
    assert analyse_slide(settings, "coarse", run_id="r1").status is SlideStatus.NOT_APPLICABLE
    run = analyse_slide(settings, "coarse", run_id="r2", override=Override("research", "ann"))
    assert run.status is SlideStatus.OK
    assert "needs 4 um/px or finer" in run.message


def test_what_is_not_stated_is_not_refused_but_said(settings: Settings, synthetic_slide: Path) -> None:
    enrol(settings, "ann")
    catalogue.add_slides(settings, [SlideRequest(synthetic_slide)], actor="ann")
    run = analyse_slide(settings, "synthetic", run_id="r1")
    assert run.status is SlideStatus.OK
    assert not_checked(run) == (
        "The slide's stain is not stated; the model is made for HE slides.",
        "The slide's tissue is not stated; the model is made for breast.",
    )
    assert (override_words(run), run.message) == (None, "")
    assert NOT_CHECKED in run.settings


def analysed(home: Path, slide: Path, *arguments: str) -> Done:
    return second_read("analyse", slide, "--json", "--home", home, "--device", "cpu", *arguments)


def test_the_command_line_refuses_and_overrides(tmp_path: Path, synthetic_slide: Path) -> None:
    refused = analysed(tmp_path / "home", synthetic_slide, "--stain", "he", "--tissue", "lung")
    assert refused.code == 3
    row = refused.only
    assert (row["status"], row["override"]) == ("not_applicable", None)
    assert "made for breast, and this slide is lung" in str(row["message"])
    allowed = analysed(tmp_path / "home", synthetic_slide, "--even-if-unfit", "comparing organs")
    row = allowed.only
    assert (allowed.code, row["status"], row["override"]["reason"]) == (0, "ok", "comparing organs")
    assert str(row["override"]["actor"]).endswith("(command line)")
    assert analysed(tmp_path / "home", synthetic_slide, "--even-if-unfit", " ").code == 2


# ------------------------------------------------------------------------------------------------------- in the queue


class Recorder:
    """An analysis that remembers under whose word it was asked."""

    def __init__(self) -> None:
        self.overrides: list[Override | None] = []

    def __call__(
        self,
        _settings: Settings,
        slide_id: str,
        *,
        run_id: str,
        model_name: str | None,  # noqa: ARG002
        override: Override | None,
        progress: Callable[[int, int], None] | None,  # noqa: ARG002
        cancelled: Callable[[], bool] | None,  # noqa: ARG002
    ) -> RunResult:
        self.overrides.append(override)
        return run_of(slide_id, run_id=run_id)


def test_a_job_keeps_its_override_over_the_death_of_its_worker(settings: Settings) -> None:
    """The reason lies in the log, so another process that opens it later runs the job under the same word."""
    (job_id,) = jobs.enqueue(settings, [add_slide(settings, "a")], override_reason=" a study ", actor="bob")
    with open_log(settings) as database, writing(database):
        gone = queue.register_worker(database, pid=DEAD_PID, host=socket.gethostname())
        claimed = queue.claim(database, worker_id=gone)
    assert claimed is not None
    assert (claimed.override_reason, claimed.override_by) == ("a study", "bob")
    analyse = Recorder()
    run_worker(Settings(home=settings.home), once=True, analyse=analyse)
    assert analyse.overrides == [Override("a study", "bob")]
    job = jobs.get_job(settings, job_id)
    assert (job.state, job.attempts) == (JobState.DONE, 2)
    (event,) = events_of_kind(settings, "override.given", case_id="a")
    assert (event.actor, event.payload) == ("bob", {"job_id": job_id, "model": "idc", "reason": "a study"})


def test_a_job_without_a_reason_has_none(settings: Settings) -> None:
    jobs.enqueue(settings, [add_slide(settings, "a")], actor="ann")
    analyse = Recorder()
    run_worker(settings, once=True, analyse=analyse)
    assert analyse.overrides == [None]
    assert events_of_kind(settings, "override.given", case_id="a") == []


def test_another_try_repeats_the_reason_under_the_name_of_who_tries(settings: Settings) -> None:
    (job_id,) = jobs.enqueue(settings, [add_slide(settings, "a")], override_reason="a study", actor="ann")
    jobs.cancel(settings, job_id, actor="ann")
    again = jobs.get_job(settings, jobs.retry(settings, job_id, actor="bob"))
    assert (again.override_reason, again.override_by) == ("a study", "bob")
    assert jobs.get_job(settings, job_id).override_by == "ann"


def test_a_reason_for_a_slide_in_the_queue_is_refused_and_not_lost(settings: Settings) -> None:
    slide = add_slide(settings, "a")
    (job_id,) = jobs.enqueue(settings, [slide], actor="ann")
    with pytest.raises(ConflictError, match=f"Cancel job {job_id} first"):
        jobs.enqueue(settings, [slide], override_reason="a study", actor="ann")
    assert jobs.get_job(settings, job_id).override_reason is None


def test_who_may_not_manage_jobs_may_not_override(settings: Settings) -> None:
    slide = add_slide(settings, "a")
    enrol(settings, "vic", roles=(Role.VIEWER,))
    with pytest.raises(NotAllowedError):
        jobs.enqueue(settings, [slide], override_reason="I want to", actor="vic")


# ---------------------------------------------------------------------------------------------------------- the tissue


def test_tissue_comes_from_the_manifest_and_can_be_corrected(settings: Settings, tmp_path: Path) -> None:
    enrol(settings, "ann")
    for name in ("a", "b"):
        (tmp_path / f"{name}.svs").write_bytes(name.encode())
    (tmp_path / "m.csv").write_text("path,tissue,stain\na.svs, Breast ,he\nb.svs,,he\n")
    catalogue.add_paths(settings, [tmp_path / "m.csv"], tissue="Lung", actor="ann")
    assert [catalogue.get_slide(settings, name).tissue for name in ("a", "b")] == ["breast", "lung"]
    catalogue.add_paths(settings, [tmp_path / "b.svs"], tissue="breast", actor="ann")
    assert catalogue.get_slide(settings, "b").tissue == "breast"
    catalogue.add_paths(settings, [tmp_path / "b.svs"], actor="ann")
    catalogue.add_paths(settings, [tmp_path / "b.svs"], tissue="unknown", actor="ann")
    assert catalogue.get_slide(settings, "b").tissue == "breast"
    (changed,) = events_of_kind(settings, "slide.changed", case_id="b")
    assert changed.payload == {"old": {"tissue": "lung"}, "new": {"tissue": "breast"}}

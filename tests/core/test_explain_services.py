"""Explanations from request to file: asked of the worker, hidden where the result is, compared, exported, damaged."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from conftest import tissue_image, write_pyramid
from people_kit import CLERK, enrol

from core.domain import JobState, ReadCategory, Region, Stain
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.explain import Method
from core.roles import Role
from core.services.analysis.analyse import analyse_and_record
from core.services.cases.review import record_diagnosis
from core.services.catalogue import SlideRequest, add_slides
from core.services.explanation import explain
from core.services.explanation import files as explain_files
from core.services.explanation import similar as explain_similar
from core.services.explanation.export import export_slide, export_tile
from core.services.explanation.groups import tile_groups
from core.services.explanation.pictures import agreement_words, map_picture, sanity_words, tile_pictures
from core.services.explanation.slide import slide_explanation
from core.services.queue.jobs import get_job, list_jobs
from core.services.queue.worker import run_worker
from core.settings import Settings

MODEL = "idc_resnet18"
ANN, VIC = "ann", "vic"


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three cases of one small slide each; "open" and "other" are read, "hidden" is not."""
    folder = tmp_path_factory.mktemp("explained")
    settings = Settings(home=folder / "home", model=MODEL)
    enrol(settings, ANN, roles=(Role.PATHOLOGIST,))
    enrol(settings, VIC, roles=(Role.VIEWER,))
    names = ("open", "other", "hidden")
    paths = [
        write_pyramid(folder / f"{name}.tif", tissue_image(1024, 768, seed=seed), mpp=1.0)
        for seed, name in enumerate(names)
    ]
    requests = [
        SlideRequest(path, name.upper(), None, Stain.HE, "breast", None)
        for path, name in zip(paths, names, strict=True)
    ]
    add_slides(settings, requests, actor=CLERK)
    for name in names:
        analyse_and_record(settings, name, model_name=MODEL, actor=CLERK)
    for case_id in ("OPEN", "OTHER"):
        record_diagnosis(settings, case_id, category=ReadCategory.BENIGN, grade=None, text="", confidence=3, actor=ANN)
    for name in names:
        explain_similar.request_embeddings(settings, name, actor=CLERK)
    run_worker(settings, once=True)
    return settings


def a_tile(settings: Settings, slide_id: str = "open") -> Region:
    return Region(*slide_explanation(settings, slide_id, actor=CLERK).regions[0])


def test_a_tile_is_explained_by_the_worker_and_read_back(analysed):
    region = a_tile(analysed)
    assert explain.tile_explanation(analysed, "open", region, actor=ANN) is None
    job = explain.request_tile(analysed, "open", region, actor=ANN)
    assert explain.request_tile(analysed, "open", region, actor=ANN) == job, "the same request is kept"
    payload = explain.place_of(analysed, "open", region, model=None, actor=ANN).payload
    live = explain.live_job(analysed, "open", payload)
    assert live is not None
    assert live.state is JobState.QUEUED
    run_worker(analysed, once=True)
    ended = get_job(analysed, job)
    assert ended.state is JobState.DONE, ended.message
    assert explain.live_job(analysed, "open", payload) is None

    found = explain.tile_explanation(analysed, "open", region, actor=ANN)
    assert found is not None
    assert [one.method for one in found.maps] == list(Method)
    assert {one.values.shape for one in found.maps} == {(50, 50)}
    slide = slide_explanation(analysed, "open", actor=ANN)
    assert found.probability == pytest.approx(slide.tiles.target[0], abs=0.02)
    assert np.array_equal(found.tile, tile_pictures(analysed, "open", [region], px=50, actor=ANN)[0])
    assert found.is_complete
    assert len(found.agreement.pairs) == 10
    assert explain.explained_regions(analysed, "open", actor=ANN) == ((MODEL, region),)
    assert map_picture(found, Method.LIME, opacity=0.5).shape == found.view.shape
    assert agreement_words(found)[0] == found.agreement.disagree
    assert len(sanity_words(found)) == 3

    with zipfile.ZipFile(io.BytesIO(export_tile(analysed, "open", region, actor=ANN))) as archive:
        names = set(archive.namelist())
        told = json.loads(archive.read("explanation.json"))
        assert np.load(io.BytesIO(archive.read("occlusion.npy"))).shape == (50, 50)
    assert {"tile.png", "tile_as_read.png", "legend.png", "NOTICE.txt"} | {f"{m.value}.png" for m in Method} <= names
    assert "not for primary diagnosis" in told["notice"][0]
    assert told["weights_sha256"] == found.weights_sha256
    with pytest.raises(NotAllowedError):
        export_tile(analysed, "open", region, actor=VIC)

    digest = explain.place_of(analysed, "open", region, model=None, actor=ANN).digest
    path = explain_files.path_of(analysed, "open", digest)
    path.write_bytes(path.read_bytes()[:200])
    assert explain.tile_explanation(analysed, "open", region, actor=ANN) is None, "a damaged file counts as missing"


def test_what_the_result_hides_the_explanation_hides_too(analysed):
    region = a_tile(analysed, "hidden")
    for ask in (
        lambda: explain.request_tile(analysed, "hidden", region, actor=ANN),
        lambda: explain.tile_explanation(analysed, "hidden", region, actor=ANN),
        lambda: explain.explained_regions(analysed, "hidden", actor=ANN),
        lambda: slide_explanation(analysed, "hidden", actor=ANN),
        lambda: export_slide(analysed, "hidden", actor=ANN),
        lambda: tile_groups(analysed, "hidden", count=2, actor=ANN),
        lambda: explain_similar.neighbours(analysed, "hidden", region, actor=ANN),
        lambda: explain_similar.request_embeddings(analysed, "hidden", actor=ANN),
    ):
        with pytest.raises(ConflictError, match="Hidden until"):
            ask()
    with pytest.raises(NotAllowedError):
        explain.request_tile(analysed, "open", region, actor="a stranger")
    assert not [job for job in list_jobs(analysed, live_only=True) if job.slide_id == "hidden"]


def test_neighbours_leave_out_hidden_cases_and_say_so(analysed):
    found = explain_similar.neighbours(analysed, "open", a_tile(analysed), actor=ANN)
    assert found is not None
    assert (found.compared, found.hidden) == (1, 1)
    assert {one.case_id for one in (*found.tiles, *found.cases)} == {"OTHER"}
    everything = explain_similar.neighbours(analysed, "open", a_tile(analysed), actor=CLERK)
    assert everything is not None
    assert {one.case_id for one in everything.cases} == {"OTHER", "HIDDEN"}
    assert all(-1 <= one.similarity <= 1 for one in everything.tiles)
    assert explain_similar.request_cohort(analysed, model=MODEL, actor=ANN) == 0, "all are embedded already"
    with pytest.raises(NotAllowedError):
        explain_similar.request_cohort(analysed, model=MODEL, actor=VIC)


def test_the_removal_test_starts_from_the_very_score_that_decided(analysed):
    found = slide_explanation(analysed, "open", actor=VIC)
    rule = next(rule for rule in found.removal.curve.without if rule.value == found.rule)
    assert found.removal.curve.without[rule][0] == pytest.approx(found.score, abs=1e-6)
    assert found.threshold == found.thresholds[rule]
    assert found.sentences
    assert found.statistics.tiles == len(found.tiles)
    assert found.tiles.tile_mm2 == pytest.approx(0.04)
    assert found.attention is None
    told = json.loads(export_slide(analysed, "open", actor=ANN))
    assert told["statistics"]["tiles"] == found.statistics.tiles
    with pytest.raises(NotAllowedError):
        export_slide(analysed, "open", actor=VIC)


def test_groups_by_embeddings_hold_every_tile(analysed):
    found = tile_groups(analysed, "open", count=2, actor=ANN)
    assert MODEL in found.by
    assert sum(group.tiles for group in found.groups) == slide_explanation(analysed, "open", actor=ANN).statistics.tiles
    assert all(group.shown and group.probability is not None for group in found.groups)


def test_another_place_or_model_is_another_explanation(analysed):
    region = a_tile(analysed)
    moved = Region(region.x + 1, region.y, region.width, region.height)
    digests = {
        explain.place_of(analysed, "open", where, model=model, actor=ANN).digest
        for where, model in ((region, None), (moved, None), (region, "idc"))
    }
    assert len(digests) == 3


def test_requests_that_make_no_sense_are_refused_in_words(analysed):
    region = a_tile(analysed)
    with pytest.raises(InputError, match="lies outside"):
        explain.request_tile(analysed, "open", Region(9000, 0, 400, 400), actor=ANN)
    with pytest.raises(NotFoundError, match="There is no model"):
        explain.request_tile(analysed, "open", region, model="nothing", actor=ANN)
    with pytest.raises(NotFoundError):
        explain.request_tile(analysed, "nowhere", region, actor=ANN)
    job = explain.request_tile(analysed, "open", region, model="lung", actor=ANN)
    run_worker(analysed, once=True)
    ended = get_job(analysed, job)
    assert ended.state is JobState.FAILED
    assert "not made for this slide" in ended.message

"""The report on an evaluation: its figures are those of the value it is made of, and everything is stated."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from people_kit import CLERK, enrol
from store_kit import add_slide, run_of, save

from core.documents import Figure, Table, to_html, to_pdf
from core.errors import NotAllowedError
from core.phantom.truth import TUMOUR
from core.roles import Role
from core.services import catalogue
from core.services.evaluation.document import LIMITS, evaluation_document
from core.services.evaluation.figures import evaluate
from core.services.evaluation.values import EvaluationRequest, EvaluationResult
from core.settings import Settings

SCORES = {"a": (0.9, True), "b": (0.7, True), "c": (0.6, False), "d": (0.3, True), "e": (0.2, False), "f": (0.1, False)}
"""Slide -> score and whether the target was planted. Of nine pairs eight are in order."""


def plant(settings: Settings, slide_id: str, *, tumour: bool) -> None:
    ring = [[0, 0], [500, 0], [500, 500], [0, 0]]
    mark = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": TUMOUR}},
    }
    path = Path(catalogue.get_slide(settings, slide_id).path).with_suffix(".geojson")
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [mark] if tumour else []}))


@pytest.fixture
def result(settings: Settings) -> EvaluationResult:
    for name, (score, tumour) in SCORES.items():
        slide_id = add_slide(settings, name, case_id=f"case-{name}")
        save(settings, run_of(slide_id, run_id=f"run-{name}", score=score))
        plant(settings, slide_id, tumour=tumour)
    return evaluate(settings, EvaluationRequest("idc", "truth"), actor=CLERK)


def test_every_figure_stands_there_with_its_matrix_and_its_n(settings: Settings, result: EvaluationResult) -> None:
    assert result.auc.estimate.value == pytest.approx(8 / 9)
    document = evaluation_document(settings, result, actor=CLERK)
    html = to_html(document)
    for words in (
        "0.889",
        "6 patients, 6 slides",
        "3 of 6 slides",
        result.data_sha256,
        "ab" * 32,
        escape(LIMITS),
        "Baselines",
    ):
        assert words in html
    matrix = next(block for block in document.blocks if isinstance(block, Table) and block.columns[0] == "")
    found = [[int(cell) for cell in row[1:]] for row in matrix.rows]
    assert found == [list(row) for row in result.at.table.matrix]
    assert sum(map(sum, found)) == 6
    assert sum(isinstance(block, Figure) for block in document.blocks) >= 3
    assert to_pdf(document).startswith(b"%PDF-")


def test_what_was_not_measured_is_said(settings: Settings, result: EvaluationResult) -> None:
    html = to_html(evaluation_document(settings, result, robustness=None, actor=CLERK))
    assert "was not measured" in html
    assert "tiles cannot be judged" in html


def test_the_card_of_the_model_is_part_of_it(settings: Settings, result: EvaluationResult) -> None:
    html = to_html(evaluation_document(settings, result, actor=CLERK))
    assert "Model card" in html
    assert "Breast H&amp;E only" in html
    other = replace(result, request=EvaluationRequest("system:other", "truth"))
    assert "Model card" not in to_html(evaluation_document(settings, other, actor=CLERK))


def test_it_is_for_those_who_may_export(settings: Settings, result: EvaluationResult) -> None:
    enrol(settings, "Vic", roles=(Role.VIEWER,))
    with pytest.raises(NotAllowedError):
        evaluation_document(settings, result, actor="Vic")

"""The one-page summary of a case: what the person may see is in it, what is hidden is not, in words or in pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from consult_kit import ask, flagged_case, give, settled
from PIL import Image
from store_kit import add_slide

from core.documents import Document, Figure, to_html, to_pdf
from core.errors import NotAllowedError, NotFoundError
from core.services.analysis.run_files import RunFolder
from core.services.cases.document import case_document
from core.settings import Settings
from core.vocabulary import Blinding


def draw(settings: Settings, slide_id: str, run_id: str) -> None:
    folder = RunFolder.of(settings, slide_id, run_id)
    folder.write_image("thumbnail.jpg", np.full((60, 100, 3), 220, np.uint8))
    heat = np.zeros((60, 100, 4), np.uint8)
    heat[:, :, 0] = 200
    heat[:, :50, 3] = 255
    folder.write_image("heatmap.png", heat)


def picture(document: Document) -> np.ndarray:
    (figure,) = (block for block in document.blocks if isinstance(block, Figure))
    return np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))


def test_it_tells_read_model_flag_and_quality_on_one_page(settings: Settings) -> None:
    draw(settings, flagged_case(settings), "run-C1")
    document = case_document(settings, "C1", actor="ann")
    html = to_html(document)
    for words in ("benign", "score 0.95", "slide-C1", "model higher", "for ann"):
        assert words in html
    assert to_pdf(document).count(b"/Type /Page\n") == 1
    found = picture(document)
    assert found.shape == (60, 216, 3)
    assert tuple(found[30, 130]) == (200, 0, 0)
    assert abs(int(found[30, 200, 0]) - 220) < 6


def test_a_blinded_consultant_takes_nothing_out_that_is_hidden(settings: Settings) -> None:
    draw(settings, flagged_case(settings), "run-C1")
    ask(settings, blinding=Blinding.FULL)
    html = to_html(case_document(settings, "C1", actor="cleo"))
    for words in ("0.95", "benign", "model higher", "run-C1"):
        assert words not in html
    assert "Hidden until your opinion is locked" in html
    assert picture(case_document(settings, "C1", actor="cleo")).shape == (60, 100, 3)


def test_what_was_found_out_is_told_when_it_is_over(settings: Settings) -> None:
    flagged_case(settings)
    settled(settings)
    html = to_html(case_document(settings, "C1", actor="ann"))
    assert "third reader, report: amended" in html
    assert "Opinion, cleo" in html


def test_slides_without_a_result_or_a_picture_are_told_of(settings: Settings) -> None:
    flagged_case(settings)
    add_slide(settings, "later", case_id="C1")
    html = to_html(case_document(settings, "C1", actor="Eve"))
    assert "not analysed" in html
    assert "thumbnail.jpg is missing" in html


def test_who_may_take_it_out(settings: Settings) -> None:
    flagged_case(settings)
    with pytest.raises(NotAllowedError):
        case_document(settings, "C1", actor="vic")
    with pytest.raises(NotFoundError):
        case_document(settings, "nothing", actor="ann")


def test_an_opinion_is_told_once_it_is_given(settings: Settings) -> None:
    flagged_case(settings)
    asked = ask(settings)
    assert "Opinion, cleo" not in to_html(case_document(settings, "C1", actor="ann"))
    give(settings, asked, actor="cleo")
    assert "Opinion, cleo" in to_html(case_document(settings, "C1", actor="ann"))

"""A blinded consultant truly sees nothing: every way by which a result, a read or a name could reach one is tried."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from consult_kit import BENIGN, MAJOR, MALIGNANT, ask, flagged_case, give
from people_kit import enrol
from starlette.applications import Starlette
from store_kit import PROJECT, add_slide, listed, run_of, save

from core.domain import NOT_FOR_DIAGNOSIS, CaseStatus, ReadCategory, ReviewVerdict
from core.errors import ConflictError, NotAllowedError, NotFoundError
from core.roles import Role
from core.server.identity import DEMONSTRATION_ISSUER
from core.server.sign_in import COOKIE_NAME, demonstration_claims, sign_in_cookie
from core.server.tile_tokens import grant, sign
from core.server.tiles import SLIDES_PATH
from core.server.viewer import viewer_routes
from core.services.analysis.run_files import RunFolder
from core.services.cases import review
from core.services.cases.visibility import (
    ALL,
    HIDDEN,
    UNREAD,
    Visibility,
    blinded_cases,
    may_see_model_of,
    visibility,
)
from core.services.cases.worklist import case_detail
from core.services.consultations import consult, opinion, resolution, signing
from core.services.consultations import lists as consult_lists
from core.services.consultations.answers import Answer
from core.services.export import export
from core.services.viewing import annotations
from core.services.viewing.layers import QUALITY_MAP
from core.services.viewing.pictures import slide_picture
from core.settings import Settings
from core.store.annotations import Shape
from core.store.events import Action
from core.vocabulary import Blinding, ConsultationRole, SignatureMeaning

SCORE = 0.951357
SECRET = "a secret of at least thirty-two characters"  # noqa: S105
MARK = "0b5ffb8f-29b1-4cf5-9de0-6e4e2d1bfb27"
OWN_MARK = "6e4e2d1b-29b1-4cf5-9de0-0b5ffb8f2d1b"
WAYS = [(Blinding.FULL, "cleo"), (Blinding.FULL, "pool"), (Blinding.MODEL_HIDDEN, "cleo")]


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            **{"x": [0, 100], "y": [0, 0], "width": [100, 100], "height": [100, 100]},
            **{"prob_idc": [0.25, SCORE], "prob_other": [0.75, 1 - SCORE], "attention": [0.2, 0.8]},
            **{"qc_focus": [1.0, 1.0], "qc_artefact": [0, 0]},
        }
    )


def mark(settings: Settings, annotation_id: str, *, actor: str, note: str) -> None:
    annotations.save_annotation(
        settings,
        "slide-C1",
        annotation_id=annotation_id,
        shape=Shape.POINT,
        geometry={"type": "Point", "coordinates": [5, 5]},
        label="",
        note=note,
        actor=actor,
    )


@pytest.fixture
def case(settings: Settings) -> Settings:
    """Case C1: read, marked and assigned by ann, flagged, answered by bob; dan's opinion is in, cleo's is awaited."""
    slide_id = add_slide(settings, "slide-C1", case_id="C1")
    save(settings, run_of(slide_id, run_id="run-C1", score=SCORE))
    folder = RunFolder.of(settings, slide_id, "run-C1")
    folder.write_tiles(table())
    folder.write_image(QUALITY_MAP, np.zeros((2, 2), np.uint8))
    flagged_case(settings, "C0")
    review.record_read(settings, "C1", replace(BENIGN, text="SECRET READ"), actor="ann")
    mark(settings, MARK, actor="ann", note="SECRET MARK")
    review.assign(settings, "C1", assignee="ann", actor="ann")
    review.open_case(settings, "C1", actor="bob")
    review.record_review(settings, "C1", verdict=ReviewVerdict.DISAGREE, note="SECRET ANSWER", actor="bob")
    signing.sign_read(settings, 2, meaning=SignatureMeaning.AUTHORSHIP, printed_name="ann", actor="ann")
    given = give(settings, ask(settings, "dan"), replace(MALIGNANT, text="SECRET OPINION"), actor="dan")
    resolution.compare(settings, given.opinion_id, replace(MAJOR, note="SECRET COMPARISON"), actor="ann")
    return settings


def await_opinion(settings: Settings, blinding: Blinding, whom: str, *, case_id: str = "C1") -> int:
    person, pool = (None, "breast") if whom == "pool" else (whom, None)
    return ask(settings, person, pool=pool, blinding=blinding, case_id=case_id).consultation_id


def everything(settings: Settings, tmp_path: Path, actor: str) -> str:
    """All that an actor can get at through the services that pages, routes and exports use, as one text."""
    out = tmp_path / f"out-{actor}"
    export(settings, out, case_ids=["C1"], actor=actor)
    detail = case_detail(settings, "C1", actor=actor)
    parts: list[object] = [
        [row for row in listed(settings, actor=actor) if row.case_id == "C1"],
        replace(detail, visibility=ALL),
        review.case_history(settings, "C1", actor=actor),
        annotations.list_annotations(settings, "slide-C1", actor=actor),
        annotations.annotation_history(settings, "slide-C1", actor=actor),
        annotations.export_geojson(settings, "slide-C1", actor=actor),
        replace(consult_lists.case_consult(settings, "C1", actor=actor), visibility=ALL),
        consult_lists.inbox(settings, actor=actor),
        consult_lists.sent(settings, actor=actor),
        consult_lists.overdue(settings, actor=actor),
        [one for one in consult_lists.waiting(settings, actor=actor) if one.case_id == "C1"],
        signing.signatures(settings, "C1", actor=actor),
        *(
            path.read_text()
            for path in sorted(out.rglob("*"))
            if path.suffix in {".csv", ".jsonl", ".geojson", ".json"}
        ),
    ]
    return "\n".join(map(repr, parts))


OF_THE_MODEL = (
    *(str(SCORE)[:6], "model_higher", "'flagged'", "concordant", "model_discordance", "MODEL_DISCORDANCE"),
    *("carrying_artefact_fraction", "SECRET ANSWER"),
)
OF_OTHERS = ("SECRET OPINION", "SECRET COMPARISON", "'dan'", "DISAGREE", "signature_id", "comparison_id")
OF_THE_FIRST = ("SECRET READ", "SECRET MARK", "'ann'", '"ann"', ",ann,", "'bob'", MARK, "BENIGN", '"benign"')


@pytest.mark.parametrize(("blinding", "whom"), WAYS)
def test_nothing_of_what_is_hidden_reaches_a_blinded_consultant(
    case: Settings, tmp_path: Path, blinding: Blinding, whom: str
) -> None:
    await_opinion(case, blinding, whom)
    told = everything(case, tmp_path, "cleo")
    for word in (*OF_THE_MODEL, *OF_OTHERS, *(OF_THE_FIRST if blinding is Blinding.FULL else ())):
        assert word not in told, word
    assert "Is there invasion?" in told
    # The same search finds all of it for somebody who may see it, so the words are the right ones.
    shown = everything(case, tmp_path, "bob")
    for word in (str(SCORE)[:6], "model_higher", "SECRET READ", "SECRET MARK", "SECRET OPINION", "'ann'", '"ann"'):
        assert word in shown, word
    for word in ("SECRET ANSWER", "SECRET COMPARISON", "'dan'", MARK, "signature_id", "MODEL_DISCORDANCE"):
        assert word in shown, word


def test_model_hidden_shows_the_first_read_and_its_author(case: Settings, tmp_path: Path) -> None:
    await_opinion(case, Blinding.MODEL_HIDDEN, "cleo")
    told = everything(case, tmp_path, "cleo")
    for word in ("SECRET READ", "SECRET MARK", "'ann'"):
        assert word in told
    detail = case_detail(case, "C1", actor="cleo")
    assert [read.reader for read in detail.diagnoses] == ["ann"]
    assert (detail.case.diagnosis, detail.case.diagnosis_by) == (ReadCategory.BENIGN, "ann")


def test_open_hides_nothing(case: Settings) -> None:
    await_opinion(case, Blinding.OPEN, "cleo")
    assert visibility(case, "C1", actor="cleo") == ALL


@pytest.mark.parametrize(("blinding", "whom"), WAYS)
def test_a_row_tells_nothing_by_order_badges_or_status(case: Settings, blinding: Blinding, whom: str) -> None:
    """The same list whatever the model said: cases that differ in nothing else but the result."""
    for name, score in (("low", 0.01), ("high", 0.99), ("middle", 0.5)):
        flagged_case(case, name, score=score)
        ask(
            case,
            None if whom == "pool" else whom,
            pool="p" if whom == "pool" else None,
            blinding=blinding,
            case_id=name,
        )
    rows = {row.case_id: row for row in listed(case, actor="cleo")}
    assert [name for name in rows if name in ("low", "high", "middle")] == ["low", "high", "middle"]  # as they came
    assert list(rows)[:3] == ["low", "high", "middle"]
    seen = [
        replace(rows[name], case_id="", waiting_since=None, thumbnail_path=None) for name in ("low", "high", "middle")
    ]
    assert seen[0] == seen[1] == seen[2]
    row = rows["high"]
    assert (row.status, row.flags, row.revealed) == (CaseStatus.SECOND_OPINION_REQUESTED, (), False)
    assert (row.model_label, row.model_score) == (None, None)
    assert row.waits_for_you is (whom == "cleo")


def test_a_third_reader_does_not_learn_that_the_two_differ(case: Settings) -> None:
    resolution.adjudicate(case, "C1", actor="ann")
    ask(case, "cleo", role=ConsultationRole.ADJUDICATOR)
    (row,) = consult_lists.inbox(case, actor="cleo")
    assert (row.role, row.type, row.requester) == (None, None, HIDDEN)
    assert case_detail(case, "C1", actor="cleo").case.status is CaseStatus.SECOND_OPINION_REQUESTED
    told = consult_lists.case_consult(case, "C1", actor="cleo")
    assert (told.status, told.steps, len(told.requests)) == (CaseStatus.SECOND_OPINION_REQUESTED, (), 1)


def test_ones_own_marks_stay(case: Settings) -> None:
    await_opinion(case, Blinding.FULL, "cleo")
    mark(case, OWN_MARK, actor="cleo", note="mine")
    assert [one.note for one in annotations.list_annotations(case, "slide-C1", actor="cleo")] == ["mine"]
    assert len(annotations.list_annotations(case, "slide-C1", actor="Eve")) == 2


def test_pictures_come_without_the_models_values(case: Settings) -> None:
    folder = RunFolder.of(case, "slide-C1", "run-C1")
    folder.write_image("thumbnail.jpg", np.full((20, 20, 3), 200, np.uint8))
    hidden = slide_picture(case, "slide-C1", "run-C1", width=200, height=100, with_model=False)
    assert list(hidden.tiles.columns) == ["x", "y", "width", "height", "qc_focus", "qc_artefact"]
    shown = slide_picture(case, "slide-C1", "run-C1", width=200, height=100, with_model=True)
    assert "prob_idc" in shown.tiles
    with pytest.raises(NotFoundError):
        hidden.probabilities("idc")


def test_nothing_can_be_done_that_would_unblind(case: Settings) -> None:
    await_opinion(case, Blinding.FULL, "cleo")
    assert review.open_case(case, "C1", actor="cleo") is False
    for action in (
        lambda: review.reveal_model(case, "C1", actor="cleo"),
        lambda: review.record_read(case, "C1", MALIGNANT, actor="cleo"),
        lambda: review.record_review(case, "C1", verdict=ReviewVerdict.AGREE, actor="cleo"),
        lambda: resolution.proposal(case, 1, actor="cleo"),
        lambda: resolution.compare(case, 1, MAJOR, actor="cleo"),
        lambda: resolution.agree(case, "C1", actor="cleo"),
        lambda: ask(case, "Eve", actor="cleo"),
        lambda: consult.withdraw(case, 2, reason="x", actor="cleo"),
        lambda: signing.sign_read(case, 2, meaning=SignatureMeaning.REVIEW, printed_name="cleo", actor="cleo"),
    ):
        with pytest.raises((ConflictError, NotAllowedError)):
            action()
    reveals = [event.actor for event in review.case_history(case, "C1") if event.action == Action.MODEL_REVEALED]
    assert "cleo" not in reveals
    assert blinded_cases(case, actor="cleo") == {"C1"}


def test_all_is_shown_when_the_opinion_is_locked_and_the_log_says_so(case: Settings) -> None:
    number = await_opinion(case, Blinding.FULL, "cleo")
    opinion.acknowledge(case, number, actor="cleo")
    assert visibility(case, "C1", actor="cleo").is_blinded
    opinion.submit_opinion(case, number, MALIGNANT, actor="cleo")
    assert visibility(case, "C1", actor="cleo") == ALL
    reveals = [event for event in review.case_history(case, "C1") if event.action == Action.MODEL_REVEALED]
    assert (reveals[-1].actor, reveals[-1].payload["because"]) == ("cleo", "opinion locked")
    assert blinded_cases(case, actor="cleo") == frozenset()


@pytest.mark.parametrize("end", ["decline", "reassign", "withdraw"])
def test_who_is_no_longer_asked_is_no_longer_blinded(case: Settings, end: str) -> None:
    number = await_opinion(case, Blinding.FULL, "cleo")
    if end == "decline":
        opinion.decline(case, number, reason="x", actor="cleo")
    elif end == "reassign":
        consult.reassign(case, number, consultant="Eve", reason="x", actor="ann")
    else:
        consult.withdraw(case, number, reason="x", actor="ann")
    assert visibility(case, "C1", actor="cleo") == ALL


def test_a_pool_blinds_those_who_may_answer_until_they_choose(case: Settings) -> None:
    number = await_opinion(case, Blinding.FULL, "pool")
    expected = {"cleo": True, "Eve": True, "ann": False, "bob": False, "dan": False, "vic": False, "quinn": False}
    assert {name: visibility(case, "C1", actor=name).is_blinded for name in expected} == expected
    review.reveal_model(case, "C1", actor="Eve")
    assert visibility(case, "C1", actor="Eve") == ALL
    opinion.acknowledge(case, number, actor="cleo")
    enrol(case, "gil", roles=(Role.CONSULTANT,))
    assert not visibility(case, "C1", actor="gil").is_blinded
    assert visibility(case, "C1", actor="cleo").is_asked


def test_who_sees_what_where_nobody_is_asked(settings: Settings) -> None:
    slide_id = add_slide(settings, "a", case_id="C9")
    save(settings, run_of(slide_id, run_id="r9", score=SCORE))
    assert visibility(settings, "C9", actor="ann") == UNREAD
    assert visibility(settings, "C9", actor=None) == ALL
    assert visibility(settings, "C9", actor="root (command line)") == ALL
    told = repr([review.case_history(settings, "C9", actor="ann"), replace(case_detail(settings, "C9", actor="ann"))])
    assert str(SCORE)[:6] not in told
    with pytest.raises(NotAllowedError):
        visibility(settings, "C9", actor="nobody")
    with pytest.raises(NotFoundError):
        visibility(settings, "C8", actor="ann")
    review.record_read(settings, "C9", Answer(category=ReadCategory.BENIGN), actor="ann")
    assert visibility(settings, "C9", actor="bob") == ALL


def test_an_export_says_what_it_leaves_out(case: Settings, tmp_path: Path) -> None:
    await_opinion(case, Blinding.FULL, "cleo")
    export(case, tmp_path / "out", case_ids=["C1"], actor="cleo")
    notice = (tmp_path / "out" / "NOTICE.txt").read_text()
    assert "may not see yet: C1." in notice
    assert NOT_FOR_DIAGNOSIS in notice
    assert not list((tmp_path / "out").glob("model-outputs-*/*"))
    assert pd.read_csv(tmp_path / "out" / "scores.csv").empty
    export(case, tmp_path / "all", case_ids=["C1"], actor="Eve")
    assert len(list((tmp_path / "all").glob("model-outputs-*/*"))) == 2


# -- the routes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(case: Settings) -> Iterator[httpx.AsyncClient]:
    """Signed in as Cleo of the demonstration, whom nobody has asked yet."""
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=Starlette(routes=viewer_routes(case, secret=SECRET))),
        base_url="http://127.0.0.1",
    )
    claims = demonstration_claims(case, "Cleo Route", role=Role.CONSULTANT)
    client.cookies.set(COOKIE_NAME, sign_in_cookie(SECRET, claims, origin="http://x"))
    yield client
    asyncio.run(client.aclose())


@pytest.mark.parametrize("layer", ["model", "attention"])
def test_a_guessed_address_and_an_old_permission_give_403(
    case: Settings, browser: httpx.AsyncClient, layer: str
) -> None:
    subject = f"{DEMONSTRATION_ISSUER}|cleo route"

    def get(*, model: bool) -> httpx.Response:
        token = sign(SECRET, grant("slide-C1", user=subject, model=model))
        path = f"{SLIDES_PATH}/slide-C1/layers/run-C1/{layer}"
        return asyncio.run(browser.get(path, headers={"Authorization": f"Bearer {token}"}))

    assert get(model=True).status_code == 200
    assert get(model=False).status_code == 403
    ask(case, "Cleo Route (demonstration)", blinding=Blinding.MODEL_HIDDEN)
    answer = get(model=True)
    assert answer.status_code == 403
    assert "hidden" in answer.text
    quality = asyncio.run(
        browser.get(
            f"{SLIDES_PATH}/slide-C1/layers/run-C1/quality",
            headers={"Authorization": f"Bearer {sign(SECRET, grant('slide-C1', user=subject, model=False))}"},
        )
    )
    assert quality.status_code == 200


def test_a_route_asks_for_the_person_behind_the_sign_in(case: Settings) -> None:
    demonstration_claims(case, "Cleo Route", role=Role.CONSULTANT)
    assert may_see_model_of(case, "slide-C1", issuer=DEMONSTRATION_ISSUER, subject="cleo route")
    with pytest.raises(NotAllowedError):
        may_see_model_of(case, "slide-C1", issuer="elsewhere", subject="cleo route")


# -- the pages --------------------------------------------------------------------------------------------------------

ASKS_WHO_LOOKS = {
    *("worklist_page", "worklist_names", "case_detail", "case_history", "list_annotations", "annotation_history"),
    *("export_geojson", "day_view", "board", "preview_rules"),
    *("case_consult", "signatures", "inbox", "sent", "overdue", "waiting", "visibility"),
}


def test_every_page_says_who_looks() -> None:
    """What is left out is left out by the service, so a page that forgot to say who looks would show everything."""
    found = 0
    for path in sorted((PROJECT / "pages").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = getattr(node.args[0], "attr", getattr(node.args[0], "id", "")) if node.args else ""
            if name == "partial" and first in ASKS_WHO_LOOKS:
                name = first
            if name in ASKS_WHO_LOOKS and node.args:
                found += 1
                given = [keyword.value for keyword in node.keywords if keyword.arg == "actor"]
                assert given, f"{path.name}:{node.lineno} calls {name} without actor"
                assert not isinstance(given[0], ast.Constant), f"{path.name}:{node.lineno} calls {name} for nobody"
    assert found >= 5


def test_the_default_of_a_visibility_hides_nothing_and_blinded_ones_say_why() -> None:
    assert Visibility() == ALL
    assert UNREAD.because
    assert not UNREAD.is_blinded

"""A second opinion as pathologists live it, in Chromium; and the same by the wrong person, out of order and twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from browser_kit import Visits, chromium, eventually, need_library, served, visits
from opinion_kit import PEOPLE, SCORE, department, make_case
from playwright.sync_api import Locator, Page, Request, WebSocket, expect

from core.domain import CaseStatus, ReadCategory
from core.server.tiles import SLIDES_PATH
from core.services.cases import review
from core.services.cases.drafts import DraftForm, DraftPlace, draft_of
from core.services.cases.worklist import case_detail
from core.services.catalogue import verify_log
from core.services.consultations import consult, opinion, resolution
from core.services.consultations.answers import Answer
from core.services.consultations.lists import CaseConsult, case_consult
from core.services.consultations.signing import signatures
from core.settings import Settings
from core.store.consult_records import NewComparison
from core.vocabulary import Blinding, ConsultationState, ConsultationType, Discordance, ManagementImpact

STORY, TABS, ORDER = "STORY-1", "TABS-2", "ORDER-3"
ANNIKA, CLEO, DAN, VERA = (f"{name} (demonstration)" for name in PEOPLE)
FLAG = "Model higher"
SECRETS = ("Annika", "Atypia", "atypia", "Zebra", FLAG, "idc (0.87", f"{SCORE}", f"{SCORE:.3f}")
"""What a blinded consultant's browser must never receive: the author, the answer and the score."""
HALF_A_THOUGHT = "Cribriform in the north."
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    need_library()
    folder = tmp_path_factory.mktemp("opinions")
    settings = Settings(home=folder / "home")
    for case in (STORY, TABS, ORDER):
        make_case(settings, folder / "slides", case)
    department(settings)
    expect.set_options(timeout=WAIT_MS)
    with (
        served("app.py", settings, {}, log=folder / "server.log") as server,
        chromium() as browser,
        visits(browser, server) as found,
    ):
        yield found
    expect.set_options(timeout=5_000)


@dataclass
class Wire:
    """What a browser received and asked for."""

    frames: list[bytes] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    """With which slides were asked for."""

    def listen(self, page: Page) -> None:
        """Listen from the next load of the page on."""
        page.on("request", self._note)
        page.on("websocket", self._hear)

    def _note(self, request: Request) -> None:
        self.urls.append(request.url)
        token = request.headers.get("authorization")
        self.tokens += [token] if token and SLIDES_PATH in request.url else []

    def _hear(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.frames.append(frame if isinstance(frame, bytes) else b""))

    def tells(self, word: str) -> bool:
        return any(word.encode() in frame for frame in self.frames) or any(word in url for url in self.urls)


def visit(opened: Visits, path: str, who: str) -> Page:
    name = who.removesuffix(" (demonstration)")
    page = opened.open(path, role=PEOPLE[name].value, name=name, ready=False)
    page.set_default_timeout(WAIT_MS)
    return page


def button(place: Page | Locator, name: str) -> Locator:
    """A button of the page, or of a dialog, by the end of its text: before it stands its icon, after it its key."""
    inside = place.get_by_test_id("stMain") if isinstance(place, Page) else place
    return inside.locator("button").filter(has_text=re.compile(rf"{name}\s*W?$")).first


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def consult_of(opened: Visits, case: str) -> CaseConsult:
    return case_consult(opened.server.settings, case, actor=None)


def idle(page: Page) -> None:
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")


def ask_in_dialog(page: Page, *, open_with: str, whom: str, question: str) -> None:
    expect(button(page, open_with)).to_be_visible()
    idle(page)
    button(page, open_with).click()
    dialog(page).get_by_label("Question").fill(question)
    dialog(page).locator("[class*='st-key-person_'] input").click()
    names = page.get_by_role("option").all_inner_texts()
    assert not [name for name in names if name in page.locator("[data-testid='stSidebar']").inner_text()]
    page.get_by_role("option", name=whom).click()
    button(dialog(page), "Ask").click()
    expect(page.get_by_text("Waiting for the opinion of")).to_be_visible()


def told_nothing(wire: Wire, secrets: Sequence[str]) -> None:
    assert len(wire.frames) > 10
    assert wire.tells("Invasion?"), "the payload is read here, so that an absence means something"
    assert [secret for secret in secrets if wire.tells(secret)] == []


def test_the_story_from_the_first_read_to_the_signature(opened: Visits) -> None:
    ann = visit(opened, f"/case?case={STORY}", ANNIKA)
    ann.get_by_label("Grade or type (optional)").fill("Zebra pattern")
    ann.locator(f".st-key-scheme_{STORY} input").click()
    ann.get_by_role("option", name="Breast: invasive carcinoma").click()
    ann.get_by_text("Atypia", exact=True).click()
    expect(ann.get_by_label("Grade or type (optional)")).to_have_value("Zebra pattern")
    assert "Model higher" not in ann.locator("[data-testid='stMain']").inner_text()
    button(ann, "Record diagnosis").click()
    expect(ann.get_by_text("Model higher").first).to_be_visible()
    ask_in_dialog(ann, open_with="Ask for a second opinion", whom="Cleo Consultant", question="Invasion?")

    cleo, wire = visit(opened, "/consultations", CLEO), Wire()
    expect(cleo.get_by_text("A colleague asked")).to_be_visible()
    wire.listen(cleo)
    cleo.reload()
    cleo.keyboard.press("Escape")
    button(cleo, "Open the next one").click()
    expect(cleo.get_by_text("Not shown: the model's result, the first read")).to_be_visible()
    button(cleo, "Take it on").click()
    expect(button(cleo, "Lock my opinion")).to_be_visible()
    cleo.get_by_role("tab", name="History").click()
    shown = cleo.locator("body").inner_text()
    told_nothing(wire, SECRETS)
    assert not [secret for secret in SECRETS if secret in shown]
    cleo.get_by_role("link", name="Worklist").click()
    expect(cleo.get_by_text("of 3 cases")).to_be_visible()
    idle(cleo)
    told_nothing(wire, [secret for secret in SECRETS if secret != FLAG])  # the worklist's columns know every flag
    asked_for_the_heatmap(opened, cleo, wire)
    cleo.goto(f"{opened.server.url}/case?case={STORY}")
    cleo.get_by_text("Malignant", exact=True).click()
    cleo.get_by_label("Note (optional)").fill(HALF_A_THOUGHT)
    cleo.keyboard.press("Tab")
    expect(cleo.get_by_text("Draft kept for you alone")).to_be_visible()
    eventually(lambda: drafted(opened, STORY, CLEO) == HALF_A_THOUGHT)
    cleo.context.close()  # half-way: what was taken on stays taken on, and what was typed stays with who typed it

    ann.reload()
    expect(ann.get_by_text("Waiting for the opinion of")).to_be_visible()
    assert HALF_A_THOUGHT not in ann.locator("body").inner_text()
    cleo = visit(opened, f"/case?case={STORY}", CLEO)
    expect(cleo.get_by_label("Note (optional)")).to_have_value(HALF_A_THOUGHT)
    button(cleo, "Lock my opinion").click()
    expect(button(cleo, "Compare the reads")).to_be_visible()
    expect(cleo.get_by_text("Zebra pattern").first).to_be_attached()
    (given,) = consult_of(opened, STORY).opinions
    assert (given.read.blinded_to_model, given.read.blinded_to_first) == (True, True)
    assert (given.read.category, given.read.text) == (ReadCategory.MALIGNANT, HALF_A_THOUGHT)
    assert drafted(opened, STORY, CLEO) is None

    ann.reload()
    button(ann, "Compare the reads").click()
    expect(dialog(ann).get_by_text("Annika Firstreader", exact=False)).to_be_visible()
    button(dialog(ann), "Record the comparison").click()
    expect(button(ann, "Have a third reader decide")).to_be_visible()
    idle(ann)
    button(ann, "Have a third reader decide").click()
    button(dialog(ann), "Have a third reader decide").click()
    ask_in_dialog(ann, open_with="Ask a third reader", whom="Dan Decider", question="Which of the two?")

    dan = visit(opened, f"/case?case={STORY}", DAN)
    button(dan, "Take it on").click()
    assert "Annika" not in dan.locator("[data-testid='stMain']").inner_text()
    dan.get_by_text("Malignant", exact=True).click()
    button(dan, "Lock my opinion").click()
    button(dan, "Record the resolution").click()
    expect(dialog(dan).get_by_label("How it was settled")).to_have_value("The third reader decided")
    button(dialog(dan), "Record the resolution").click()
    expect(button(dan, "Sign")).to_be_visible()
    idle(dan)
    button(dan, "Sign").click()
    name = dialog(dan).get_by_label("Type your name to sign")
    name.fill("Annika Firstreader")
    button(dialog(dan), "Sign").click()
    expect(dialog(dan).get_by_text("The typed name is not yours")).to_be_visible()
    expect(name).to_have_value("Annika Firstreader")
    name.fill("Dan Decider")
    button(dialog(dan), "Sign").dblclick()
    expect(dan.get_by_text("Resolved and signed")).to_be_visible()
    (signed,) = signatures(opened.server.settings, STORY)
    assert (signed.holds, signed.signature.printed_name) == (True, "Dan Decider")
    expect(dan.get_by_text(signed.signature.record_sha256).first).to_be_attached()
    assert consult_of(opened, STORY).status is CaseStatus.SIGNED

    dan.get_by_role("link", name="Reports").click()
    line = dan.get_by_role("row").filter(has_text="Resolved before the report")
    expect(line).to_contain_text("1 of 1")
    expect(dan.get_by_role("row").filter(has_text="Days from request to opinion")).to_contain_text("0.0 days")


def asked_for_the_heatmap(opened: Visits, page: Page, wire: Wire) -> None:
    """Ask for the model's layer with the very token that shows the slide, past the page."""
    assert wire.tokens, "the slide was asked for with a token"
    slide = f"{opened.server.url}{SLIDES_PATH}/slide-{STORY}"
    runs = case_detail(opened.server.settings, STORY).runs
    path = f"{slide}/layers/{runs[f'slide-{STORY}'].run_id}/model"
    headers = {"Authorization": wire.tokens[-1]}
    assert page.request.get(f"{slide}/info", headers=headers).status == 200
    refused = page.request.get(path, headers=headers)
    assert (refused.status, "stays hidden" in refused.text()) == (403, True)


def drafted(opened: Visits, case: str, who: str) -> object:
    """The note in somebody's draft of an opinion, or None."""
    (asked,) = [one for one in consult_of(opened, case).requests if one.consultant == who]
    place = DraftPlace(case, DraftForm.OPINION, asked.consultation_id)
    found = draft_of(opened.server.settings, place, actor=who)
    return None if found is None else found.content.get("text")


def read_and_ask(settings: Settings, case: str) -> int:
    benign = Answer(category=ReadCategory.BENIGN)
    review.record_read(settings, case, benign, actor=ANNIKA)
    asked = consult.request(
        settings,
        case,
        consultant=CLEO,
        type=ConsultationType.DOUBLE_REPORT,
        question="Invasion?",
        blinding=Blinding.FULL,
        actor=ANNIKA,
    )
    return asked.consultation_id


def test_two_tabs_take_on_and_lock_once(opened: Visits) -> None:
    read_and_ask(opened.server.settings, TABS)
    first = visit(opened, f"/case?case={TABS}", CLEO)
    second = first.context.new_page()
    second.set_default_timeout(WAIT_MS)
    second.goto(first.url)
    for page in (first, second):
        expect(button(page, "Take it on")).to_be_visible()
    button(first, "Take it on").click()
    expect(button(first, "Lock my opinion")).to_be_visible()
    button(second, "Take it on").click()
    expect(button(second, "Lock my opinion")).to_be_visible()
    states = [step.to_state for step in consult_of(opened, TABS).changes if step.step == "request"]
    assert states == [CaseStatus.SECOND_OPINION_REQUESTED]
    second.get_by_text("Benign", exact=True).click()
    second.get_by_label("Note (optional)").fill("A long thought.")
    first.get_by_text("Malignant", exact=True).click()
    button(first, "Lock my opinion").click()
    expect(button(first, "Compare the reads")).to_be_visible()
    button(second, "Lock my opinion").click()
    expect(second.get_by_text("The request is answered already; nothing was changed.")).to_be_visible()
    expect(second.get_by_text("A long thought.")).to_be_visible()
    (given,) = consult_of(opened, TABS).opinions
    assert given.read.category is ReadCategory.MALIGNANT


def test_out_of_order_and_the_wrong_role_are_refused(opened: Visits) -> None:
    settings = opened.server.settings
    number = read_and_ask(settings, ORDER)
    vera = visit(opened, f"/case?case={ORDER}", VERA)
    expect(vera.get_by_text("Waiting for the opinion of")).to_be_visible()
    for name in ("Take it on", "Withdraw", "Ask somebody else", "Record diagnosis"):
        expect(button(vera, name)).to_have_count(0)
    vera.goto(f"{opened.server.url}/consultations")
    expect(vera.get_by_text("this page is for")).to_be_visible()
    opinion.acknowledge(settings, number, actor=CLEO)
    given = opinion.submit_opinion(settings, number, Answer(category=ReadCategory.MALIGNANT), actor=CLEO)
    ann = visit(opened, f"/case?case={ORDER}", ANNIKA)
    button(ann, "Compare the reads").click()
    dialog(ann).get_by_label("Note (optional)").fill("Talked it over.")
    made = NewComparison(
        discordance=Discordance.MAJOR,
        basis=None,
        management_impact=ManagementImpact.UNKNOWN,
        error_type=None,
        note="",
    )
    resolution.compare(settings, given.opinion_id, made, actor=CLEO)
    resolution.agree(settings, ORDER, actor=CLEO)
    button(dialog(ann), "Record the comparison").click()
    expect(dialog(ann).get_by_text("the page still showed it as")).to_be_visible()
    expect(dialog(ann).get_by_label("Note (optional)")).to_have_value("Talked it over.")
    button(dialog(ann), "Cancel").click()
    expect(button(ann, "Record the resolution")).to_be_visible()
    eventually(lambda: consult_of(opened, ORDER).status is CaseStatus.AGREED)
    assert len(consult_of(opened, ORDER).comparisons) == 1


def test_the_log_is_whole_after_all_this(opened: Visits) -> None:
    settings = opened.server.settings
    found = verify_log(settings)
    assert (found.ok, found.first_broken_seq) == (True, None)
    requests = [one for case in (STORY, TABS, ORDER) for one in consult_of(opened, case).requests]
    assert {one.state for one in requests} == {ConsultationState.ANSWERED}
    assert len(case_detail(settings, STORY).diagnoses) == 3

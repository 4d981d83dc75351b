"""The case screen keeps what was typed for its writer, lets a read be signed, and takes a consensus."""

from __future__ import annotations

from core.domain import ReadCategory, ReviewVerdict
from core.roles import Role
from core.services.cases.review import reveal_model
from core.services.cases.worklist import case_detail
from core.services.consultations.signing import signatures
from core.vocabulary import ReadRole, SignatureMeaning, SignedKind

ADA = "Ada Reader (demonstration)"
KEPT = "Draft kept for you alone"


def named(widgets, label):
    return next(one for one in widgets if one.label.startswith(label))


def test_a_form_that_was_not_sent_is_there_in_another_browser(home, open_page, texts):
    at = open_page("case.py", case="UNREAD")
    assert KEPT not in texts(at)
    at.selectbox(key="scheme_UNREAD").set_value("isup").run()
    at.pills(key="code_UNREAD_isup").set_value("2").run()
    at.text_area(key="text_UNREAD").set_value("Half a thought").run()
    assert KEPT in texts(at)
    again = open_page("case.py", case="UNREAD")
    assert (again.selectbox(key="scheme_UNREAD").value, again.pills(key="code_UNREAD_isup").value) == ("isup", "2")
    assert again.text_area(key="text_UNREAD").value == "Half a thought"
    assert KEPT in texts(again)
    other = open_page("case.py", case="UNREAD", name="Bea Other")
    assert other.text_area(key="text_UNREAD").value == ""
    assert KEPT not in texts(other)
    again.button(key="record_UNREAD").click().run()
    assert not again.exception
    read = case_detail(home, "UNREAD").diagnoses[-1]
    assert (read.reader, read.code, read.text) == (ADA, "2", "Half a thought")
    assert KEPT not in texts(open_page("case.py", case="UNREAD"))


def test_a_draft_is_discarded_and_a_form_left_as_it_was_is_none(open_page, home, texts):
    at = open_page("case.py", case="AGREED")
    at.segmented_control(key="category_AGREED").set_value(ReadCategory.BENIGN).run()
    assert KEPT in texts(at)
    at.button(key="discard_text_AGREED").click().run()
    assert at.segmented_control(key="category_AGREED").value is None
    assert KEPT not in texts(at)
    at.segmented_control(key="category_AGREED").set_value(ReadCategory.BENIGN).run()
    at.button(key="record_AGREED").click().run()
    # The correction begins with what was recorded; only a change of it is worth keeping.
    fresh = open_page("case.py", case="AGREED")
    assert fresh.segmented_control(key="category_AGREED").value is ReadCategory.BENIGN
    fresh.text_area(key="text_AGREED").set_value("More").run()
    assert KEPT in texts(fresh)
    fresh.text_area(key="text_AGREED").set_value("").run()
    assert KEPT not in texts(fresh)
    assert len([read for read in case_detail(home, "AGREED").diagnoses if read.reader == ADA]) == 1


def test_the_note_of_an_answer_is_kept_too(home, open_page, texts):
    reveal_model(home, "MISSED", actor=ADA)
    open_page("case.py", case="MISSED").text_area(key="note_MISSED").set_value("Look at the edge.").run()
    at = open_page("case.py", case="MISSED")
    assert at.text_area(key="note_MISSED").value == "Look at the edge."
    at.button(key=f"{ReviewVerdict.DISAGREE}_MISSED").click().run()
    assert [review.note for review in case_detail(home, "MISSED").reviews] == ["Look at the edge."]
    assert KEPT not in texts(open_page("case.py", case="MISSED"))


def test_ones_own_read_is_signed_as_its_author(home, open_page, texts):
    at = open_page("case.py", case="MISSED")
    at.segmented_control(key="category_MISSED").set_value(ReadCategory.MALIGNANT)
    at.button(key="record_MISSED").click().run()
    number = case_detail(home, "MISSED").diagnoses[-1].diagnosis_id
    at.button(key=f"sign_read_{number}_own").click().run()
    assert "Review" not in named(at.segmented_control, "Meaning").options
    for name in ("Somebody Else", "Ada Reader"):
        named(at.text_input, "Type your name").set_value(name)
        at.button(key=f"sign_read_{number}_own").click()  # a dialog stays open only while its opener is pressed here
        at.button(key=f"send_sign_read_{number}").click().run()
        assert not at.exception
        assert [error.value[:27] for error in at.error] == ["The typed name is not yours"] * (name != "Ada Reader")
    (signed,) = signatures(home, "MISSED")
    assert (signed.holds, signed.signature.kind, signed.signature.record_id) == (True, SignedKind.READ, number)
    assert signed.signature.meaning is SignatureMeaning.AUTHORSHIP
    assert signed.signature.record_sha256 in texts(at)
    assert f"sign_read_{number}_own" not in {button.key for button in at.button}
    viewer = open_page("case.py", role=Role.VIEWER, case="MISSED", name="Vera")
    assert not [button.key for button in viewer.button if (button.key or "").startswith("sign_read")]


def test_a_consensus_becomes_the_diagnosis_and_the_reads_stay(home, open_page):
    at = open_page("case.py", case="MISSED")
    assert "record_consensus MISSED" not in {button.key for button in at.button}, "one reader has nobody to agree with"
    at.segmented_control(key="category_MISSED").set_value(ReadCategory.MALIGNANT)
    at.button(key="record_MISSED").click().run()
    at.segmented_control(key="category_consensus MISSED").set_value(ReadCategory.MALIGNANT).run()
    at.button(key="record_consensus MISSED").click().run()
    assert not at.exception
    reads = case_detail(home, "MISSED").diagnoses
    assert [(read.reader, read.role) for read in reads[1:]] == [(ADA, ReadRole.PRIMARY), (ADA, ReadRole.CONSENSUS)]
    assert [read.supersedes for read in reads] == [None, None, None]

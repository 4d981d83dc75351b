"""The import page: columns mapped, every row checked, all or nothing, never twice, by those who may."""

from __future__ import annotations

import pytest
from people_kit import CLERK

from core.domain import ReadCategory
from core.roles import Role
from core.services.cases.other_systems import other_systems
from core.services.cases.worklist import case_detail
from core.services.catalogue import verify_log
from core.services.imports.history import imported_files

GERMAN = "Fall;Leser;Befund\nUNREAD;Müller;gutartig\nUNREAD;Gruber;maligne\nX9;Müller;gutartig\n"


def give(at, name, text, encoding="utf-8"):
    at.file_uploader[0].set_value((name, text.encode(encoding), "text/csv")).run()
    assert not at.exception
    return at


def by_label(widgets, label):
    return next(one for one in widgets if one.label == label)


def test_a_foreign_table_is_mapped_checked_and_imported_once(home, open_page, texts):
    at = give(open_page("imports.py", role=Role.QC), "reads.csv", GERMAN, "cp1252")
    assert "separated by semicolons, windows-1252" in texts(at)
    by_label(at.selectbox, "Reader").set_value("Leser")
    by_label(at.selectbox, "Result").set_value("Befund").run()
    assert "2 words are not known" in texts(at)
    at.button(key="import_check").click().run()
    (errors,) = [frame.value for frame in at.dataframe if "Why" in frame.value]
    assert errors.values.tolist() == [
        [2, "Befund", "'gutartig' is none of benign, malignant or indeterminate."],
        [3, "Befund", "'maligne' is none of benign, malignant or indeterminate."],
        [4, "Befund", "'gutartig' is none of benign, malignant or indeterminate."],
    ]
    before = verify_log(home).rows
    by_label(at.selectbox, "'gutartig' means").set_value("benign")
    by_label(at.selectbox, "'maligne' means").set_value("malignant").run()
    at.button(key="import_check").click().run()
    assert "Case X9 is not in the log" in str([frame.value.to_dict() for frame in at.dataframe])
    assert "import_run" not in {button.key for button in at.button}
    at.toggle(key="import_add_cases").set_value(True).run()
    assert "Check the table first" in texts(at), "another choice needs another check"
    at.button(key="import_check").click().run()
    assert verify_log(home).rows == before, "nothing is written by checking"
    assert at.button(key="import_run").label == "Import 3 reads"
    at.button(key="import_run").click().run()
    assert not at.exception
    assert "3 reads of reads.csv are in the log, and 1 case with them." in at.success[0].value
    reads = {read.reader: read for read in case_detail(home, "UNREAD").diagnoses}
    assert {name: read.category for name, read in reads.items()} == {
        "Müller": ReadCategory.BENIGN,
        "Gruber": ReadCategory.MALIGNANT,
    }
    at.button(key="import_check").click().run()
    assert "Everything in this table is in the log already" in texts(at)
    assert "import_run" not in {button.key for button in at.button}
    (file,) = imported_files(home, actor=CLERK)
    assert (file.file, file.rows, file.cases, file.readers) == ("reads.csv", 3, 2, 2)


def test_predictions_of_another_system(home, open_page):
    at = open_page("imports.py", role=Role.LEAD, import_what="Predictions of another system")
    give(at, "scores.csv", "case;benign;malignant\nUNREAD;0,1;0,9\nMISSED;0,7;0,8\n")
    at.multiselect[0].set_value(["benign", "malignant"]).run()
    at.text_input(key="import_system").set_value("Other")
    at.text_input(key="import_version").set_value("2").run()
    at.button(key="import_check").click().run()
    (errors,) = [frame.value for frame in at.dataframe if "Why" in frame.value]
    assert errors.values.tolist() == [[3, "case", "The probabilities of case MISSED sum to 1.50."]]
    at.toggle[0].set_value(False).run()
    at.button(key="import_check").click().run()
    at.button(key="import_run").click().run()
    assert not at.exception
    assert [(one.what, one.rows) for one in imported_files(home, actor=CLERK)] == [("predictions, Other 2", 2)]
    shown = [frame.value for frame in open_page("case.py", case="MISSED").dataframe if "System" in frame.value]
    assert shown[0][["System", "benign", "malignant"]].values.tolist() == [["Other 2", 0.7, 0.8]]
    unread = open_page("case.py", case="UNREAD")
    assert not [frame for frame in unread.dataframe if "System" in frame.value], "hidden until somebody has read it"
    assert other_systems(home, "UNREAD", actor="Ada Reader (demonstration)") == ()


@pytest.mark.usefixtures("home")
def test_what_is_no_table_and_who_may_not(open_page, texts):
    at = open_page("imports.py", role=Role.QC)
    assert "Nothing was imported yet." in texts(at)
    give(at, "a.csv", "PK\x03\x04 zipped")
    assert "Excel" in at.error[0].value
    at = open_page("imports.py", role=Role.PATHOLOGIST)
    assert "this page is for" in at.error[0].value
    assert not at.file_uploader

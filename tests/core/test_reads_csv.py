"""Tables of reads and scores: layouts found or given, every bad row named, label and score matched or refused."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.interop.csv_table import parse_csv, read_csv
from core.interop.predictions_csv import PredictionsMapping, parse_predictions
from core.interop.reads_csv import parse
from core.interop.reads_layout import Layout, ReadsMapping, is_number, reader_columns
from core.interop.scores_csv import match_labels, read_labelled_scores
from core.schemes import INDETERMINATE, load_scheme
from core.vocabulary import ReadRole

WIDE = "case,reader_1,reader_2,note\nA,1,2,x\nB,,3,y\nC,1,indeterminate,z\n"
LONG = (
    "case;reader;grade;confidence;stage;role;blinded;time;seconds\n"
    "A;ann;1;5;before_model;primary;yes;2026-05-31T14:05:00Z;31.5\n"
    "A;bob;2;;after_model;second;no;2026-05-31 16:05:00;\n"
    "B;ann;;;;;;;\n"
)
DETAILED = ReadsMapping(stage="stage", role="role", blinded="blinded", submitted_at="time", seconds="seconds")


def reads(text: str, mapping: ReadsMapping | None = None, *, scheme: str | None = None):
    return parse(
        parse_csv(text, name="t.csv"), mapping or ReadsMapping(), scheme=load_scheme(scheme) if scheme else None
    )


def test_a_wide_table():
    found = reads(WIDE, scheme="nottingham")
    assert (found.layout, found.readers, found.left_out) == (Layout.WIDE, ("reader_1", "reader_2"), ("note",))
    assert [(row.row, row.case, row.reader, row.category) for row in found.rows] == [
        (2, "A", "reader_1", "1"),
        (2, "A", "reader_2", "2"),
        (3, "B", "reader_2", "3"),
        (4, "C", "reader_1", "1"),
        (4, "C", "reader_2", INDETERMINATE),
    ]
    assert (found.empty, found.errors, found.cases) == (1, (), ("A", "B", "C"))


def test_a_long_table_with_everything():
    found = reads(LONG, DETAILED, scheme="nottingham")
    assert (found.layout, found.readers, found.empty, found.cases) == (Layout.LONG, ("ann", "bob"), 1, ("A", "B"))
    first, second = (row.details for row in found.rows)
    assert (first.confidence, first.after_model, first.role, first.blinded) == (5, False, ReadRole.PRIMARY, True)
    assert (first.submitted_at, first.seconds) == (datetime(2026, 5, 31, 14, 5, tzinfo=UTC), 31.5)
    assert (second.confidence, second.after_model, second.role, second.blinded) == (None, True, ReadRole.SECOND, False)
    assert second.submitted_at == datetime(2026, 5, 31, 16, 5, tzinfo=UTC)


def test_every_bad_cell_is_named_and_good_rows_stay():
    text = (
        "case,reader,grade,confidence,stage,role,blinded,time,seconds\n"
        "A,ann,1,3,,,,,\nA,bob,9,7,late,boss,maybe,soon,-1\n,cid,2,,,,,,\nB,,2,2.5,,,,,\n"
    )
    found = reads(text, DETAILED, scheme="nottingham")
    assert [(row.case, row.reader) for row in found.rows] == [("A", "ann")]
    assert [(error.row, error.column) for error in found.errors] == [
        *[(3, name) for name in ("grade", "confidence", "stage", "role", "blinded", "time", "seconds")],
        (4, "case"),
        (5, "reader"),
        (5, "confidence"),
    ]
    assert found.errors[0].message == "'9' is none of 1, 2, 3 or indeterminate."


def test_a_case_twice_in_a_wide_table():
    found = reads("case,a1,a2\nX,1,2\nX,2,2\n,1,1\n")
    assert [(error.row, error.message.split(";")[0]) for error in found.errors] == [
        (3, "Case X is already in row 2"),
        (4, "The case is not named."),
    ]
    assert len(found.rows) == 2


@pytest.mark.parametrize(
    ("header", "rows", "readers"),
    [
        ("case,IB1,IB2,IB13,MODE,X0,X1,slide", ["c{i},1,2,3,2,0.5,0.25,{i}"], ("IB1", "IB2", "IB13")),
        ("case,Ann,Bob,age", ["c{i},benign,malignant,4{i}.5"], ("Ann", "Bob")),
        ("case,r1,r2,q1,q2,q3", ["c{i},1,2,1,1,1"], ("q1", "q2", "q3")),
    ],
)
def test_reader_columns_are_found(header, rows, readers):
    lines = [row.format(i=i) for i in range(30) for row in rows]
    assert reader_columns(parse_csv("\n".join([header, *lines]), name="t"), case="case") == readers


def test_readers_can_be_named_and_the_model_is_last():
    found = reads("case,x,ann,model\nA,1,2,3\n", ReadsMapping(readers=("ann",), model="model"))
    assert (found.readers, [row.category for row in found.rows]) == (("ann", "model"), ["2", "3"])
    long = reads("case,reader,grade\nA,model,1\nA,ann,2\n", ReadsMapping(model="model"))
    assert long.readers == ("ann", "model")


@pytest.mark.parametrize(
    ("text", "mapping", "match"),
    [
        ("id,r1,r2\nA,1,2\n", ReadsMapping(), "no column 'case'. It has id, r1, r2"),
        ("case,only\nA,1\n", ReadsMapping(), "No columns of readers"),
        ("case,x\nA,1\n", ReadsMapping(layout=Layout.LONG), "names the reader"),
        ("case,reader\nA,ann\n", ReadsMapping(reader="reader"), "names the category"),
        ("case,r1\nA,1\n", ReadsMapping(readers=("r1", "r2")), "no column 'r2'"),
    ],
)
def test_columns_that_are_not_there(text, mapping, match):
    with pytest.raises(InputError, match=match):
        reads(text, mapping)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("a,a\n1,2\n", "'a' occurs twice"),
        ("a,\n1,2\n", "column 2 has no name"),
        ("a,b\n1,2,3\n", "Row 2 of t.csv has 3 cells for 2 columns"),
    ],
)
def test_tables_that_are_none(text, match):
    with pytest.raises(InputError, match=match):
        parse_csv(text, name="t.csv")


def test_files_of_spreadsheets(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfcase;ann\r\n"A;1"; 2 \r\n;\r\nB\r\n')
    table = read_csv(path)
    assert table.columns == ("case", "ann")
    assert [(row.number, row.cells) for row in table.rows] == [(2, ("A;1", "2")), (4, ("B", ""))]
    assert parse_csv("case\tann\nA\t1\n", name="t").column("ANN") == ("1",)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_csv(path)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_text_crashes_the_reader(text):
    with contextlib.suppress(InputError):
        parse(parse_csv(text, name="t"), ReadsMapping(case=text.split(",")[0].strip() or "case"))


def test_numbers():
    assert all(is_number(text) for text in ("1", "-2.5", "1e3", " 4 "))
    assert not any(is_number(text) for text in ("nan", "inf", "", "1,5", "1 2"))


@pytest.mark.parametrize(
    ("values", "label", "scores", "classes", "meanings"),
    [
        ("01", "cx", ["pr_ben", "pr_cx"], None, {"0": 0, "1": 1}),
        ("01", "cx", ["pr_cx", "pr_ben"], None, {"0": 1, "1": 0}),
        (["yes", "no"], "cx", ["pr_ben", "pr_cx"], None, {"no": 0, "yes": 1}),
        (["0.0", "1.0"], "cx", ["pr_ben", "pr_cx"], None, {"0": 0, "1": 1}),
        (["ben", "cx"], "truth", ["pr_ben", "pr_cx"], None, {"ben": 0, "cx": 1}),
        (["Benign", "Tumour"], "t", ["tumour", "benign"], None, {"benign": 1, "tumour": 0}),
        ("012345", "ISUP", ["X0", "X1", "X2", "X3", "X4", "X5"], None, {str(i): i for i in range(6)}),
        ("12", "ISUP", ["X1", "X2", "X3"], None, {"1": 0, "2": 1}),
        ("01", "y", ["first", "second"], None, {"0": 0, "1": 1}),
        (["no", "yes"], "y", ["a", "b"], ["yes", "no"], {"yes": 0, "no": 1}),
    ],
)
def test_labels_find_their_scores(values, label, scores, classes, meanings):
    assert match_labels(values, label=label, scores=scores, classes=classes) == meanings


@pytest.mark.parametrize(
    ("values", "scores", "classes", "match"),
    [
        (["no", "yes"], ["a", "b"], None, "Give --classes"),
        (["ben", "cx", "other"], ["pr_ben", "pr_cx"], None, "Give --classes"),
        (["1", "2"], ["a", "b"], None, "Give --classes"),
        (["cx"], ["a_cx", "b_cx"], None, "Give --classes"),
        (["no", "yes"], ["a", "b"], ["no"], "must name 2 different"),
        (["no", "yes"], ["a", "b"], ["no", "x"], "labels yes are not among"),
        (["no", ""], ["a", "b"], None, "empty cells"),
        (["no"], ["a"], None, "two or more different"),
        (["no"], ["a", "a"], None, "two or more different"),
    ],
)
def test_doubtful_labels_are_refused(values, scores, classes, match):
    with pytest.raises(InputError, match=match):
        match_labels(values, label="y", scores=scores, classes=classes)


def test_scores_are_probabilities_and_labels_are_known():
    table = parse_csv("y,p0,p1\n0,0.9,0.1\n1,0.2,0.8\n", name="t.csv")
    found = read_labelled_scores(table, label="y", scores=["p0", "p1"], meanings={"0": 0, "1": 1})
    assert (found.labels.tolist(), found.probabilities.tolist()) == ([0, 1], [[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(InputError, match=r"Row 3 of t\.csv, column y"):
        read_labelled_scores(table, label="y", scores=["p0", "p1"], meanings={"0": 0})
    bad = parse_csv("y,p0,p1\n0,0.9,12\n", name="t.csv")
    with pytest.raises(InputError, match=r"Row 2 of t\.csv, column p1: '12' is no probability"):
        read_labelled_scores(bad, label="y", scores=["p0", "p1"], meanings={"0": 0, "1": 1})


def test_predictions_wide_and_long_say_the_same():
    wide = parse_csv("case,p_a,p_b,call\nX,0.3,0.7,b\nY,1,0,a\n", name="t")
    long = parse_csv("case,class,p,call\nX,a,0.3,b\nX,b,0.7,b\nY,a,1,a\nY,b,0,a\n", name="t")
    first = parse_predictions(wide, PredictionsMapping(scores={"a": "p_a", "b": "p_b"}, label="call"))
    second = parse_predictions(long, PredictionsMapping(class_name="class", probability="p", label="call"))
    for found in (first, second):
        assert not found.errors
        assert [(row.case, dict(row.probabilities), row.label) for row in found.rows] == [
            ("X", {"a": 0.3, "b": 0.7}, "b"),
            ("Y", {"a": 1, "b": 0}, "a"),
        ]


def test_bad_predictions_are_named():
    text = "case,class,p\nX,a,0.9\nX,a,0.1\nX,b,0.9\nY,a,2\n,a,0.5\nZ,,0.5\n"
    found = parse_predictions(parse_csv(text, name="t"), PredictionsMapping(class_name="class", probability="p"))
    assert [(error.row, error.message) for error in found.errors] == [
        (2, "The probabilities of case X sum to 1.80."),
        (3, "Class a of this case is already given."),
        (5, "'2' is no probability between 0 and 1."),
        (6, "The case is not named."),
        (7, "The class is not named."),
    ]
    overlapping = PredictionsMapping(class_name="class", probability="p", exclusive=False)
    assert all(error.row != 2 for error in parse_predictions(parse_csv(text, name="t"), overlapping).errors)
    twice = parse_csv("case,p\nX,0.5\nX,0.6\n", name="t")
    (error,) = parse_predictions(twice, PredictionsMapping(scores={"a": "p"})).errors
    assert error.message == "Case X is already in row 2."
    with pytest.raises(InputError, match="Name the columns of the classes"):
        PredictionsMapping()

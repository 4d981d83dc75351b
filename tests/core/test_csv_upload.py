"""Uploaded tables: every usual encoding and way of writing numbers, and a sentence for what is no table."""

from __future__ import annotations

import pytest

from core.errors import InputError
from core.interop.csv_table import parse_csv
from core.interop.csv_upload import SIZE_LIMIT, read_upload, with_prefix, with_words
from core.interop.reads_guess import guess_mapping, words_in
from core.interop.reads_layout import Layout

GERMAN = "Fall;Leser;Wert\nA;Müller;0,95\nB;Gruber;1\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (GERMAN.encode(), "utf-8"),
        (GERMAN.encode("utf-8-sig"), "utf-8"),
        (GERMAN.encode("utf-16"), "utf-16"),
        (GERMAN.encode("cp1252"), "windows-1252"),
    ],
)
def test_encodings_are_found_out(data, encoding):
    found = read_upload(data, name="a.csv")
    assert (found.encoding, found.decimal_comma) == (encoding, True)
    assert found.table.columns == ("Fall", "Leser", "Wert")
    assert found.table.rows[0].cells == ("A", "Müller", "0.95")
    assert found.table.rows[1].cells == ("B", "Gruber", "1")


@pytest.mark.parametrize(
    ("text", "decimal_comma", "cells"),
    [
        ("a;b\n1,5;x\n", None, ("1.5", "x")),
        ("a;b\n1,5;x\n", False, ("1,5", "x")),
        ("a;b\n1,5;x\n2,y;z\n", None, ("1,5", "x")),  # one cell of the column is no number: nothing is touched
        ('a,b\n"1,5",x\n', None, ("1,5", "x")),  # separated by commas: 1,5 may be two categories
        ('a,b\n"1,5",x\n', True, ("1.5", "x")),
        ("a\tb\n-0,25\tx\n", None, ("-0.25", "x")),
    ],
)
def test_decimal_commas(text, decimal_comma, cells):
    found = read_upload(text.encode(), name="a.csv", decimal_comma=decimal_comma)
    assert found.table.rows[0].cells == cells


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"a,b\n1,\x00\n", "zero bytes"),
        (b"", "empty"),
        (b"a,b\n", "no rows"),
        (b"a,a\n1,2\n", "occurs twice"),
        (b"a,b\n1,2,3\n", "3 cells for 2 columns"),
        (b"a" * (SIZE_LIMIT + 1), "at most 50 MB"),
    ],
    ids=lambda value: value[:12] if isinstance(value, (bytes, str)) else "",
)
def test_what_is_no_table_is_said(data, said):
    with pytest.raises(InputError, match=said):
        read_upload(data, name="a.csv")


def test_a_named_encoding_that_does_not_fit():
    with pytest.raises(InputError, match="not written in utf-8"):
        read_upload(GERMAN.encode("cp1252"), name="a.csv", encoding="utf-8")


def test_ten_megabytes_are_read():
    text = "case,reader,category,text\n" + f"C123456,reader_1,malignant,{'long ' * 40}\n" * 46_000
    assert len(text) > 10_000_000
    assert len(read_upload(text.encode(), name="a.csv").table.rows) == 46_000


def test_words_and_prefixes_touch_only_their_columns():
    table = parse_csv("case,one,two\n1,yes,yes\n,no,no\n", name="a.csv")
    assert with_words(table, ["one"], {"yes": "malignant"}).rows[0].cells == ("1", "malignant", "yes")
    assert with_prefix(table, "case", "S-").column("case") == ("S-1", "")
    assert table.column("one") == ("yes", "no"), "the table itself stays as it is"
    assert words_in(table, ("one", "two")) == ("no", "yes")
    with pytest.raises(InputError, match="no column"):
        with_words(table, ["three"], {})


@pytest.mark.parametrize(
    ("text", "layout", "case", "readers", "reader", "category"),
    [
        ("case,reader_1,reader_2\nA,1,2\nB,1,1\n", Layout.WIDE, "case", ("reader_1", "reader_2"), None, None),
        ("biopsy,IB1,IB2,score\n1,2,3,0.5\n2,1,1,0.25\n", Layout.WIDE, "biopsy", ("IB1", "IB2"), None, None),
        ("case,reader,category\nA,x,1\nA,y,2\n", Layout.LONG, "case", (), "reader", "category"),
        ("roi,reader,percent\nA,x,1.5\nA,y,2\n", Layout.LONG, "roi", (), "reader", None),
        ("Fall,Wer,Was\nA,x,b\nA,y,m\n", Layout.LONG, "Fall", (), None, None),
    ],
)
def test_columns_are_guessed(text, layout, case, readers, reader, category):
    found = guess_mapping(parse_csv(text, name="a.csv"))
    assert (found.layout, found.case, found.readers) == (layout, case, readers)
    assert (found.reader, found.category) == (reader, category)


def test_further_columns_of_a_long_table_are_guessed_once_each():
    text = "case,reader,grade,confidence,note,time\nA,x,2,3,hm,2026-01-01\nA,y,1,4,,2026-01-02\n"
    found = guess_mapping(parse_csv(text, name="a.csv"))
    assert (found.category, found.grade, found.confidence, found.text, found.submitted_at) == (
        "grade",
        None,
        "confidence",
        "note",
        "time",
    )

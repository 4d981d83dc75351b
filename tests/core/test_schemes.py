"""Reading schemes: the shipped ones, what their words mean, distance and severity, and every refusal."""

from __future__ import annotations

import pytest

from core.domain import ReadCategory
from core.errors import InputError, NotFoundError
from core.schemes import INDETERMINATE, Severity, load_scheme, parse_scheme, read_scheme, scheme_names

NONE, MINOR, MAJOR = Severity.NONE, Severity.MINOR, Severity.MAJOR
TOML = """
title = "Small"
version = "1"
source = "Made up"
severity = [["none", "minor"], ["minor", "none"]]
[[categories]]
code = "a"
title = "Class A"
read = "benign"
aliases = ["alpha"]
[[categories]]
code = "b"
title = "Class B"
read = "malignant"
"""


@pytest.mark.parametrize("name", scheme_names())
def test_every_shipped_scheme_is_sound(name):
    scheme = load_scheme(name)
    assert scheme.name == name
    assert scheme.source
    for first in scheme.codes:
        assert scheme.code_of(first) == first
        assert scheme.severity(first, first) is NONE
        for second in scheme.codes:
            assert scheme.severity(first, second) is scheme.severity(second, first)
            assert scheme.distance(first, second) == -scheme.distance(second, first)
            assert (scheme.severity(first, second) is NONE) == (first == second)
    reads = [category.read for category in scheme.categories]
    assert reads == sorted(reads, key=[ReadCategory.BENIGN, ReadCategory.INDETERMINATE, ReadCategory.MALIGNANT].index)


def test_the_schemes_the_product_names_are_there():
    assert {"breast_idc", "nottingham", "isup", "pdl1_bins", "plain"} <= set(scheme_names())
    assert load_scheme("isup").codes == ("0", "1", "2", "3", "4", "5")
    assert load_scheme("nottingham").codes == ("1", "2", "3")


@pytest.mark.parametrize(
    ("scheme", "text", "code"),
    [
        ("isup", "3", "3"),
        ("isup", " 3.0 ", "3"),
        ("isup", "Grade group 3", "3"),
        ("isup", "4+3", "3"),
        ("isup", "3+4", "2"),
        ("isup", "NEGATIVE", "0"),
        ("isup", "6", None),
        ("isup", "", None),
        ("nottingham", "G2", "2"),
        ("nottingham", "III", "3"),
        ("nottingham", "0", None),
        ("nottingham", "Indeterminate", INDETERMINATE),
        ("pdl1_bins", "≥50%", ">=50"),
        ("pdl1_bins", "0.4", "<1"),
        ("pdl1_bins", "1", "1-49"),
        ("pdl1_bins", "49.9", "1-49"),
        ("pdl1_bins", "90%", ">=50"),
        ("pdl1_bins", "-1", None),
        ("pdl1_bins", "nan", None),
        ("pdl1_bins", "inf", None),
        ("til_bins", "10", "0-10"),
        ("til_bins", "11.0", "11-59"),
        ("til_bins", "high", "60-100"),
        ("breast_idc", "IDC", "invasive"),
        ("plain", "1", "malignant"),
        ("plain", "unsure", INDETERMINATE),
    ],
)
def test_words_of_files(scheme, text, code):
    assert load_scheme(scheme).code_of(text) == code


def test_distance_and_severity_of_grades():
    isup = load_scheme("isup")
    assert isup.distance("1", "4") == 3
    assert isup.distance("4", "1") == -3
    assert isup.distance("1", INDETERMINATE) is None
    assert isup.severity("2", "3") is MINOR
    assert isup.severity("1", "2") is MAJOR
    assert isup.severity("0", "1") is MAJOR
    assert isup.severity("2", INDETERMINATE) is None
    assert isup.read_category("0") is ReadCategory.BENIGN
    assert isup.read_category("1") is ReadCategory.MALIGNANT
    assert isup.read_category(INDETERMINATE) is ReadCategory.INDETERMINATE
    nottingham = load_scheme("nottingham")
    assert [nottingham.severity("1", code) for code in nottingham.codes] == [NONE, MINOR, MAJOR]
    with pytest.raises(InputError, match="'9' is no category of Breast: Nottingham grade"):
        nottingham.distance("1", "9")


def test_a_departments_own_file(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(TOML, encoding="utf-8")
    scheme = read_scheme(path)
    assert (scheme.name, scheme.codes, scheme.code_of("ALPHA")) == ("own", ("a", "b"), "a")
    with pytest.raises(InputError, match="cannot be read"):
        read_scheme(tmp_path / "none.toml")
    with pytest.raises(NotFoundError, match="There are breast_idc"):
        load_scheme("own")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("title", "=", "is not TOML"),
        ('source = "Made up"', "", "'source'"),
        ('["minor", "none"]', '["major", "none"]', "not the same both ways"),
        ('[["none",', '[["minor",', "against itself"),
        ('["minor", "none"]]', '["minor"]]', "not a square"),
        ('["none", "minor"]', '["none", "bad"]', "'bad'"),
        ('read = "malignant"', 'read = "ill"', "'ill'"),
        ('aliases = ["alpha"]', 'aliases = ["B"]', "'b' means both"),
        ('aliases = ["alpha"]', 'aliases = ["unsure"]', "'unsure' means both"),
        ('aliases = ["alpha"]', 'aliases = "alpha"', "list of words"),
        ('aliases = ["alpha"]', "colour = 3", "unknown keys: colour"),
        ('aliases = ["alpha"]', "at_least = true", "'at_least'.*must be a number"),
        ('aliases = ["alpha"]', "at_least = 3", "every category or in none"),
        ('code = "b"', 'code = ""', "'code'"),
    ],
)
def test_a_scheme_that_cannot_be_used_says_why(old, new, match):
    assert old in TOML
    with pytest.raises(InputError, match=match):
        parse_scheme(TOML.replace(old, new, 1), name="small")


def test_a_larger_difference_cannot_matter_less():
    three = TOML.replace(
        'severity = [["none", "minor"], ["minor", "none"]]',
        'severity = [["none", "major", "minor"], ["major", "none", "minor"], ["minor", "minor", "none"]]',
    )
    three += '[[categories]]\ncode = "c"\ntitle = "Class C"\nread = "malignant"\n'
    with pytest.raises(InputError, match="a against c weighs less"):
        parse_scheme(three, name="three")

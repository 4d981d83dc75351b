from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from models.data.splits import (
    Split,
    check_covers,
    make_folds,
    make_split,
    read_folds,
    read_split,
    write_folds,
    write_split,
)

SPLIT = Split(train=("a", "b"), validation=("c",), test=("d",))


@given(st.dictionaries(st.text(min_size=1), st.floats(0, 1), min_size=10, max_size=80), st.integers(0, 2**32 - 1))
def test_every_patient_is_in_exactly_one_part_in_the_wanted_proportions(shares: dict[str, float], seed: int) -> None:
    split = make_split(shares, seed=seed)
    assert sorted(split.train + split.validation + split.test) == sorted(shares)
    for part, wanted in ((split.train, 0.6), (split.validation, 0.2), (split.test, 0.2)):
        assert abs(len(part) - wanted * len(shares)) <= 1


def test_parts_resemble_each_other_in_their_share_of_positives() -> None:
    shares = {f"p{index}": float(share) for index, share in enumerate(np.linspace(0, 1, 200))}
    split = make_split(shares, seed=1)
    means = [np.mean([shares[group] for group in part]) for part in (split.train, split.validation, split.test)]
    assert max(means) - min(means) < 0.04


def test_the_seed_decides() -> None:
    shares = {f"p{index}": 0.5 for index in range(30)}
    assert make_split(shares, seed=1) == make_split(shares, seed=1)
    assert make_split(shares, seed=1) != make_split(shares, seed=2)


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        make_split({"a": 0.1, "b": 0.2}, seed=0)


def test_a_split_reads_back_equal(tmp_path: Path) -> None:
    write_split(SPLIT, tmp_path / "new" / "split.csv")
    assert read_split(tmp_path / "new" / "split.csv") == SPLIT


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,train\nb,validation\nc,test\na,test\n", r"a \(train and test\)"),
        ("a,train\na,train\nb,validation\nc,test\n", r"a \(train and train\)"),
        ("a,train\nb,holdout\n", "Line 3.*'holdout'"),
        (",train\n", "Line 2"),
    ],
    ids=["leak", "twice", "unknown part", "no group"],
)
def test_a_file_that_leaks_or_is_no_split_is_refused(tmp_path: Path, rows: str, said: str) -> None:
    path = tmp_path / "split.csv"
    path.write_text("group,part\n" + rows)
    with pytest.raises(InputError, match=said):
        read_split(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_split(tmp_path / "nothing.csv")


def test_a_split_of_other_data_is_refused_with_the_ids() -> None:
    check_covers(SPLIT, {"a", "b", "c", "d"})
    with pytest.raises(InputError, match="1 patients are not in the split: e"):
        check_covers(SPLIT, {"a", "b", "c", "d", "e"})
    with pytest.raises(InputError, match="1 patients are not in the data: d"):
        check_covers(SPLIT, {"a", "b", "c"})


def test_folds_read_back_equal(tmp_path: Path) -> None:
    shares = {f"p{index}": index / 30 for index in range(30)}
    folds = make_folds(shares, folds=5, seed=2)
    write_folds(folds, tmp_path / "new" / "folds.csv")
    assert read_folds(tmp_path / "new" / "folds.csv") == folds


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,a,train\n1,b,test\n1,a,test\n2,a,test\n", r"a \(train and test\)"),
        ("1,a,train\n1,b,test\n2,a,train\n2,b,test\n", "measured in one fold.*: a, b"),
        ("1,a,train\n1,b,test\n2,a,test\n", "not in the split: b"),
        ("1,a,train\n3,b,test\n", "'1', '3'"),
        ("1,a,train\n1,b,tset\n2,a,test\n", "Line 3.*'tset'"),
        ("", "two folds or more.*none"),
    ],
    ids=["leak", "measured twice", "forgotten", "numbers", "part", "empty"],
)
def test_folds_that_leak_or_forget_somebody_are_refused(tmp_path: Path, rows: str, said: str) -> None:
    path = tmp_path / "folds.csv"
    path.write_text("fold,group,part\n" + rows)
    with pytest.raises(InputError, match=said):
        read_folds(path)

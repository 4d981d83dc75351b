"""Agreement: check values of the literature, equality with scikit-learn and statsmodels, tables without an answer."""

from __future__ import annotations

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score

from core.agreement.continuous import NumberTable, continuous_estimates
from core.agreement.estimates import Bootstrap, Estimate
from core.agreement.influence import INFLUENCE_STATISTICS, PairedReads, model_influence
from core.agreement.many import (
    MANY_STATISTICS,
    category_agreement,
    fleiss_kappa,
    gwet_ac1_many,
    krippendorff_alpha,
    overall_estimates,
)
from core.agreement.pairs import (
    PAIR_STATISTICS,
    gwet_ac1,
    kappa,
    negative_agreement,
    observed,
    pair_estimates,
    positive_agreement,
)
from core.agreement.profiles import case_spreads, consensus, consensus_of_others, reader_profiles
from core.agreement.report import agreement_report
from core.agreement.table import MISSING, ReadTable, table_of
from core.errors import InputError

QUICK = Bootstrap(replicates=200, seed=1)
FLEISS_1971 = [
    *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
    *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
]
"""Subjects x categories, 14 raters: the table that textbooks use for Fleiss' kappa, .210."""
KRIPPENDORFF_2011 = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]
"""Observers x units, 0 = missing."""
SHROUT_FLEISS_1979 = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def table(codes: list[list[int]] | np.ndarray, *, categories: int, ordinal: bool = True) -> ReadTable:
    """Cases x readers, -1 = missing."""
    grid = np.array(codes, np.intp).reshape(len(codes), -1)
    cases, readers = (tuple(f"{letter}{i}" for i in range(n)) for letter, n in zip("cr", grid.shape, strict=True))
    return ReadTable(cases, readers, tuple("abcdefgh"[:categories]), grid, ordinal)


def krippendorff() -> ReadTable:
    return table(np.array(KRIPPENDORFF_2011).T - 1, categories=5)


def with_missing(cases: int = 40, readers: int = 4, categories: int = 4, seed: int = 3) -> ReadTable:
    rng = np.random.default_rng(seed)
    truth = rng.integers(categories, size=cases)[:, None]
    codes = np.clip(truth + rng.integers(-1, 2, size=(cases, readers)), 0, categories - 1)
    return table(np.where(rng.random(codes.shape) < 0.2, MISSING, codes), categories=categories)


@pytest.mark.parametrize(
    ("square", "po", "k", "ac1", "positive", "negative"),
    [
        ([[118, 5], [2, 0]], 0.944, -0.023, 0.941, 0.0, 236 / 243),
        ([[20, 5], [10, 15]], 0.700, 0.400, 0.406, 30 / 45, 40 / 55),
        ([[940, 20], [20, 20]], 0.960, 0.479, 0.957, 40 / 80, 1880 / 1920),
    ],
)
def test_check_values_of_two_readers(square, po, k, ac1, positive, negative):
    square = np.array(square, float)
    assert observed(square) == pytest.approx(po, abs=5e-4)
    assert kappa(square) == pytest.approx(k, abs=5e-4)
    assert gwet_ac1(square) == pytest.approx(ac1, abs=5e-4)
    assert positive_agreement(square, positive_from=1) == pytest.approx(positive)
    assert negative_agreement(square, positive_from=1) == pytest.approx(negative)


def test_check_values_of_many_readers():
    fleiss = table([np.repeat(range(5), row) for row in FLEISS_1971], categories=5)
    assert fleiss_kappa(fleiss) == pytest.approx(0.210, abs=5e-4)
    found = [krippendorff_alpha(krippendorff(), metric=metric) for metric in ("nominal", "ordinal", "interval")]
    assert found == pytest.approx([0.743, 0.815, 0.849], abs=5e-4)
    # Gwet's package irrCAC states these for the same data.
    assert gwet_ac1_many(krippendorff()) == pytest.approx(0.77544, abs=5e-6)
    assert fleiss_kappa(krippendorff()) == pytest.approx(0.76117, abs=5e-6)


def test_check_values_of_numbers():
    numbers = NumberTable(tuple("abcdef"), tuple("1234"), np.array(SHROUT_FLEISS_1979, float))
    found = continuous_estimates(numbers, bootstrap=QUICK)
    assert found["icc_one_way"].value == pytest.approx(0.17, abs=5e-3)
    assert found["icc_two_way"].value == pytest.approx(0.29, abs=5e-3)
    distances = [abs(a - b) for row in SHROUT_FLEISS_1979 for a, b in combinations(row, 2)]
    assert found["mean_distance"].value == pytest.approx(np.mean(distances))


def test_interval_alpha_of_numbers_is_that_of_categories():
    reads = np.array(KRIPPENDORFF_2011, float).T
    numbers = NumberTable(tuple(map(str, range(12))), tuple("1234"), np.where(reads == 0, np.nan, reads))
    assert continuous_estimates(numbers, bootstrap=QUICK)["alpha_interval"].value == pytest.approx(0.849, abs=5e-4)


@given(codes=arrays(np.intp, (30, 2), elements=st.integers(0, 3)))
@settings(max_examples=60, deadline=None)
def test_two_readers_equal_scikit_learn(codes):
    square = table(codes, categories=4).pair(0, 1)
    for weighting, theirs in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
        ours = float(kappa(square, weighting=weighting))
        if len(np.unique(codes)) == 1:
            assert math.isnan(ours)
        else:
            expected = cohen_kappa_score(codes[:, 0], codes[:, 1], labels=[0, 1, 2, 3], weights=theirs)
            assert ours == pytest.approx(expected)


@given(codes=arrays(np.intp, (12, 5), elements=st.integers(0, 2)))
@settings(max_examples=60, deadline=None)
def test_fleiss_equals_statsmodels(codes):
    statsmodels = pytest.importorskip("statsmodels.stats.inter_rater")
    counts = table(codes, categories=3).counts()
    if (counts.sum(axis=0) > 0).sum() > 1:
        assert fleiss_kappa(table(codes, categories=3)) == pytest.approx(statsmodels.fleiss_kappa(counts))


@given(codes=arrays(np.intp, (25, 2), elements=st.integers(0, 1)))
@settings(max_examples=60, deadline=None)
def test_many_readers_of_two_are_two_readers(codes):
    reads = table(codes, categories=2)
    square = reads.pair(0, 1)
    found = overall_estimates(reads, positive_from=1, bootstrap=Bootstrap(replicates=100))
    for name, value in (
        ("po", observed(square)),
        ("ac1", gwet_ac1(square)),
        ("mean_kappa", kappa(square)),
        ("positive_agreement", positive_agreement(square, positive_from=1)),
        ("negative_agreement", negative_agreement(square, positive_from=1)),
    ):
        assert found[name].value == (None if math.isnan(value) else pytest.approx(float(value)))


def test_specific_agreement_of_many_readers_counts_pairs():
    reads = with_missing()
    same, any_ = 0, 0
    for row in reads.codes:
        for a, b in combinations(row[row != MISSING], 2):
            same += 2 * (a == 2 and b == 2)
            any_ += int(a == 2) + int(b == 2)
    assert category_agreement(reads, bootstrap=QUICK)["c"].value == pytest.approx(same / any_)


def test_statistics_do_not_depend_on_the_order_of_readers_or_cases():
    reads = with_missing()
    rng = np.random.default_rng(0)
    shuffled = table(reads.codes[rng.permutation(40)][:, [2, 0, 3, 1]], categories=4)
    first, second = (overall_estimates(one, positive_from=2, bootstrap=QUICK) for one in (reads, shuffled))
    for name in MANY_STATISTICS:
        assert first[name].value == pytest.approx(second[name].value)


def test_a_perfect_table_agrees_and_its_mirror_does_not():
    perfect = table([[i % 3] * 4 for i in range(30)], categories=3)
    for name, found in overall_estimates(perfect, positive_from=1, bootstrap=QUICK).items():
        assert (found.value, found.low, found.high) == (pytest.approx(1), pytest.approx(1), pytest.approx(1)), name
    mirror = table([[i % 2, 1 - i % 2] for i in range(30)], categories=2)
    assert overall_estimates(mirror, bootstrap=QUICK)["mean_kappa"].value == pytest.approx(-1)


def test_intervals_cover_the_value_and_the_same_seed_gives_the_same():
    reads = with_missing(cases=80)
    first = overall_estimates(reads, positive_from=2, bootstrap=Bootstrap(seed=5))
    assert first == overall_estimates(reads, positive_from=2, bootstrap=Bootstrap(seed=5))
    assert first != overall_estimates(reads, positive_from=2, bootstrap=Bootstrap(seed=6))
    for found in first.values():
        assert found.low is not None
        assert found.low < found.value < found.high


def test_the_interval_is_that_of_a_bootstrap_case_by_case():
    reads = table(np.random.default_rng(1).integers(3, size=(60, 3)), categories=3)
    rng = np.random.default_rng(9)
    drawn = [
        krippendorff_alpha(table(reads.codes[rng.integers(60, size=60)], categories=3), metric="ordinal")
        for _ in range(1500)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    found = overall_estimates(reads, bootstrap=Bootstrap(replicates=3000))["alpha_ordinal"]
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)


def test_a_pairs_interval_is_that_of_its_cases():
    reads = table(np.random.default_rng(2).integers(2, size=(100, 2)), categories=2)
    ours = pair_estimates(reads.pair(0, 1), ordinal=True, positive_from=1, bootstrap=Bootstrap(replicates=4000))
    by_case = overall_estimates(reads, positive_from=1, bootstrap=Bootstrap(replicates=4000))
    assert ours["kappa"].low == pytest.approx(by_case["mean_kappa"].low, abs=0.02)
    assert ours["ac1"].high == pytest.approx(by_case["ac1"].high, abs=0.02)


def no_nan(statistics: dict[str, Estimate]) -> None:
    text = json.dumps({name: value.to_dict() for name, value in statistics.items()}, allow_nan=False)
    for name, value in json.loads(text).items():
        assert value["value"] is not None or value["reason"].endswith("."), name


@pytest.mark.parametrize(
    ("codes", "name", "reason"),
    [
        ([[0, 0]] * 10, "mean_kappa", "one and the same category"),
        ([[0, 0]] * 10, "fleiss_kappa", "All reads lie in one category"),
        ([[0, MISSING]] * 10, "po", "No case has two reads"),
        ([[0, MISSING], [MISSING, 1]], "alpha_ordinal", "No case has two reads"),
        ([[0], [1]], "po", "fewer than two readers"),
    ],
)
def test_a_table_without_an_answer_says_why(codes, name, reason):
    found = overall_estimates(table(codes, categories=2), positive_from=1, bootstrap=QUICK)
    assert found[name].value is None
    assert reason in found[name].reason
    assert set(found) == set(MANY_STATISTICS)
    no_nan(found)


def test_two_cases_have_values_and_no_intervals():
    found = overall_estimates(table([[0, 0], [1, 0]], categories=2), positive_from=1, bootstrap=QUICK)
    assert found["po"] == Estimate(0.5, reason="2 cases are too few for an interval.")
    no_nan(found)


def test_one_category_in_the_scheme_has_no_ac1_but_one_in_use_has():
    assert overall_estimates(table([[0, 0]] * 9, categories=1), bootstrap=QUICK)["ac1"].value is None
    assert overall_estimates(table([[0, 0]] * 9, categories=3), bootstrap=QUICK)["ac1"].value == 1


@given(codes=arrays(np.intp, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(-1, 2)))
@settings(max_examples=80, deadline=None)
def test_no_table_crashes_or_gives_nan(codes):
    report = agreement_report(table(codes, categories=3), positive_from=1, bootstrap=Bootstrap(replicates=100))
    json.dumps(report.to_dict(), allow_nan=False)
    no_nan(dict(report.overall))
    for pair in report.pairs:
        assert set(pair.statistics) == set(PAIR_STATISTICS)
        no_nan(dict(pair.statistics))


def test_words_without_order_have_no_weighted_kappa():
    found = overall_estimates(table([[0, 1], [1, 1]] * 5, categories=2, ordinal=False), bootstrap=QUICK)
    assert found["mean_kappa_quadratic"].value is None
    assert "no order" in found["mean_kappa_quadratic"].reason
    assert found["mean_kappa"].value is not None
    assert "counts as positive" in found["positive_agreement"].reason


def test_consensus_leaves_ties_open_and_others_leave_oneself_out():
    reads = table([[0, 0, 1], [0, 1, MISSING], [2, 2, 2], [MISSING, MISSING, MISSING]], categories=3)
    assert consensus(reads).tolist() == [0, MISSING, 2, MISSING]
    assert consensus_of_others(reads).tolist() == [
        [MISSING, MISSING, 0],
        [1, 0, MISSING],
        [2, 2, 2],
        [MISSING] * 3,
    ]


def test_spread_of_cases():
    full, lone = case_spreads(table([[0, 0, 2], [MISSING, 1, MISSING]], categories=3))
    assert (full.reads, full.counts, full.consensus, full.agreement, full.steps) == (3, (2, 0, 1), "a", 1 / 3, 2)
    assert (lone.reads, lone.consensus, lone.agreement, lone.steps) == (1, "b", None, 0)


def test_a_reader_who_reads_one_step_higher_drifts_by_one():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=30)
    profiles = reader_profiles(table(np.stack([truth, truth, truth + 1], axis=1), categories=4), bootstrap=QUICK)
    assert [profile.drift.value for profile in profiles] == pytest.approx([-0.5, -0.5, 1])
    assert [profile.distance.value for profile in profiles] == pytest.approx([0.5, 0.5, 1])
    assert (profiles[2].higher, profiles[2].lower, profiles[2].consensus.count) == (30, 0, 0)
    assert profiles[0].consensus.of == 0


def test_confidence_against_agreement():
    codes = [[0, 0, 0]] * 6 + [[1, 0, 0]] * 4
    stated = np.zeros((10, 3), np.intp)
    stated[:, 0] = [5] * 6 + [1, 1, 1, 5]
    first = reader_profiles(table(codes, categories=2), confidence=stated, bootstrap=QUICK)[0]
    assert [(level.confidence, level.agreeing.count, level.agreeing.of) for level in first.confidence] == [
        (1, 0, 3),
        (5, 6, 7),
    ]
    # Of the 6 x 4 pairs of an agreeing and a differing read, 18 were stated with more confidence and 6 with the same.
    assert first.confidence_auc == pytest.approx((18 + 6 / 2) / 24)


def test_a_reader_without_reads_is_said_so():
    profile = reader_profiles(table([[0, 1, MISSING]] * 6, categories=2), bootstrap=QUICK)[2]
    assert (profile.reads, profile.consensus.value, profile.drift.value) == (0, None, None)
    assert "read by another" in profile.drift.reason


def test_the_model_is_one_more_reader_and_never_among_the_others():
    codes = np.random.default_rng(4).integers(3, size=(40, 3))
    reads = table(np.column_stack([codes, codes[:, 0]]), categories=3)
    report = agreement_report(reads, model="r3", bootstrap=QUICK)
    assert report.table.readers == ("r0", "r1", "r2")
    assert report.model is not None
    assert [pair.second for pair in report.model.with_readers] == ["r0", "r1", "r2"]
    alone = overall_estimates(reads.only(["r0", "r1", "r2"]), bootstrap=QUICK)
    assert report.overall["fleiss_kappa"] == alone["fleiss_kappa"]
    pairs = [pair.statistics["kappa"].value for pair in report.model.with_readers]
    assert report.model.mean["mean_kappa"].value == pytest.approx(np.mean(pairs))
    assert report.model.overall["fleiss_kappa"].value != alone["fleiss_kappa"].value


def test_influence_of_the_model_by_hand():
    # case, before, after, model, reference
    rows = [
        *[(0, 0, 1, 1, 0)] * 1,  # right before, misled
        *[(1, 0, 0, 1, 0)] * 3,  # right before, stood firm
        *[(2, 0, 1, 1, 1)] * 2,  # wrong before, helped
        *[(3, 1, 1, 1, 1)] * 4,  # right with the model
        *[(4, 1, 0, 1, 1)] * 1,  # away from the model, and wrong
        *[(5, 0, 0, 1, 1)] * 1,  # not helped
        *[(6, 2, 1, 1, 0)] * 1,  # wrong before, then wrong with the model: neither helped nor misled
    ]
    case, before, after, model, reference = (np.array(column, np.intp) for column in zip(*rows, strict=True))
    found = model_influence(PairedReads(case, before, after, model, reference), bootstrap=QUICK)
    assert {name: found[name].value for name in INFLUENCE_STATISTICS} == pytest.approx(
        {
            "changed": 5 / 13,
            "towards_model": 4 / 8,
            "away_from_model": 1 / 5,
            "agreed_before": 5 / 13,
            "agreed_after": 8 / 13,
            "automation_bias": 1 / 4,
            "helped": 2 / 3,
            "right_before": 9 / 13,
            "right_after": 9 / 13,
        }
    )
    without = model_influence(PairedReads(case, before, after, model), bootstrap=QUICK)
    assert without["automation_bias"].reason == "There is no reference read to say who was right."
    assert without["changed"] == found["changed"]
    nothing = np.empty(0, np.intp)
    no_nan(model_influence(PairedReads(nothing, nothing, nothing, nothing)))


def test_numbers_without_an_answer_say_why():
    same = NumberTable(tuple("abcdef"), tuple("12"), np.full((6, 2), 7.0))
    no_nan(continuous_estimates(same, bootstrap=QUICK))
    lonely = NumberTable(tuple("ab"), tuple("12"), np.array([[1, np.nan], [np.nan, 2]]))
    assert {found.reason for found in continuous_estimates(lonely).values()} == {"No case has two reads."}
    holes = NumberTable(tuple("abcdef"), tuple("12"), np.array([[1, 2], [3, np.nan], [4, 4], [5, 6], [1, 1], [9, 8.0]]))
    found = continuous_estimates(holes, bootstrap=QUICK)
    no_nan(found)
    assert holes.n_missing == 1
    assert found["icc_two_way"].value is not None


def test_bins_are_closed_below():
    numbers = NumberTable(("a",), tuple("1234"), np.array([[9.9, 10, 40, np.nan]]))
    binned = numbers.binned((10, 40))
    assert binned.categories == ("<10", "10 to <40", ">=40")
    assert binned.codes.tolist() == [[0, 1, 2, MISSING]]
    with pytest.raises(InputError, match="must ascend"):
        numbers.binned((40, 10))


def test_a_table_is_built_from_reads_and_refuses_contradictions():
    reads = [("A", "ann", "1"), ("B", "bob", "2"), ("A", "bob", None)]
    built = table_of(reads, categories=("1", "2"), cases=("Z",), readers=("cid",))
    assert (built.cases, built.readers) == (("Z", "A", "B"), ("cid", "ann", "bob"))
    assert built.codes.tolist() == [[-1, -1, -1], [-1, 0, -1], [-1, -1, 1]]
    assert built.n_missing == 7
    with pytest.raises(InputError, match="ann read case A twice"):
        table_of([*reads, ("A", "ann", "2")], categories=("1", "2"))
    with pytest.raises(InputError, match="'3'"):
        table_of([("A", "ann", "3")], categories=("1", "2"))

"""Triage: the check values of the field, brute force against closed forms, audits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.errors import InputError
from core.shares import binomial_tail, upper_bound, wilson
from core.triage import (
    audit_sample,
    audit_size,
    break_even_cost,
    cost_of,
    decision_probability,
    expected_benefit,
    expected_triage,
    miss_rate_bound,
    threshold_for_capacity,
    threshold_for_cost,
    triage_at_count,
    triage_at_rate,
    triage_curve,
)

SCORES = np.array([0.9, 0.8, 0.8, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0])
TRUTH = np.array([1, 0, 1, 0, 0, 1, 0, 0, 0, 0], bool)

cases = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30).map(
    lambda rows: (np.array([score / 5 for score, _ in rows]), np.array([hit for _, hit in rows]))
)


def test_check_values_of_the_field():
    found = expected_triage(prevalence=0.02, sensitivity=0.8, flag_rate=0.1)
    assert found.yield_ == pytest.approx(0.16)
    assert found.reviews_per_discordance == pytest.approx(6.25)
    assert found.lift == pytest.approx(8)
    assert found.residual == pytest.approx(0.0044, abs=5e-5)


def test_the_closed_form_is_the_curve_of_such_cases():
    # 10,000 cases, 200 discordant, 160 of them among the 1,000 highest scores.
    truth = np.zeros(10_000, bool)
    truth[:160] = truth[1000:1040] = True
    point = triage_at_rate(np.linspace(1, 0, 10_000), truth, flag_rate=0.1)
    expected = expected_triage(prevalence=0.02, sensitivity=0.8, flag_rate=0.1)
    assert point.sensitivity.value == 0.8
    assert point.yield_.value == pytest.approx(expected.yield_)
    assert point.residual.value == pytest.approx(expected.residual)
    assert point.reviews_per_discordance == pytest.approx(expected.reviews_per_discordance)
    assert point.lift == pytest.approx(expected.lift)


@pytest.mark.parametrize("wrong", [(0, 0.8, 0.1), (0.5, 0.8, 0.1), (0.02, 0, 0.1), (0.02, 0.8, 1)])
def test_shares_that_do_not_fit_are_refused(wrong):
    prevalence, sensitivity, rate = wrong
    with pytest.raises(InputError, match="do not fit"):
        expected_triage(prevalence=prevalence, sensitivity=sensitivity, flag_rate=rate)


@pytest.mark.parametrize(("audited", "percent"), [(59, 5), (149, 2), (299, 1)])
def test_no_miss_among_so_many_bounds_the_rate(audited, percent):
    assert miss_rate_bound(0, audited) == pytest.approx(percent / 100, abs=5e-4)
    assert miss_rate_bound(0, audited) <= percent / 100 < miss_rate_bound(0, audited - 1)
    assert audit_size(miss_rate=percent / 100) == audited


@given(missed=st.integers(0, 20), more=st.integers(1, 200))
@settings(max_examples=50, deadline=None)
def test_the_bound_is_where_so_few_misses_become_improbable(missed, more):
    bound = miss_rate_bound(missed, missed + more)
    assert stats.binom.cdf(missed, missed + more, bound) == pytest.approx(0.05)
    assert bound > missed / (missed + more)


def test_bounds_without_an_audit_or_with_nonsense():
    assert miss_rate_bound(0, 0) is None
    assert miss_rate_bound(3, 3) == 1
    with pytest.raises(InputError):
        miss_rate_bound(4, 3)
    with pytest.raises(ValueError, match="no bound"):
        upper_bound(0, 0)


def test_wilson_intervals():
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for count, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        share = wilson(count, of)
        assert (share.low, share.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert wilson(0, 0).value is None
    with pytest.raises(ValueError, match="no share"):
        wilson(3, 2)


def test_a_point_by_hand():
    point = triage_at_rate(SCORES, TRUTH, flag_rate=0.3)
    assert (point.flagged, point.cases, point.threshold, point.flag_rate) == (3, 10, 0.8, 0.3)
    assert (point.sensitivity.count, point.sensitivity.of) == (2, 3)
    assert (point.yield_.count, point.yield_.of) == (2, 3)
    assert (point.residual.count, point.residual.of) == (1, 7)
    assert point.reviews_per_discordance == 1.5
    assert point.lift == pytest.approx(2 / 3 / 0.3)


def test_nothing_flagged_and_nothing_to_find():
    none = triage_at_count(SCORES, TRUTH, flagged=0)
    assert (none.threshold, none.yield_.value, none.lift, none.reviews_per_discordance) == (None, None, None, None)
    clean = triage_at_count(SCORES, np.zeros(10, bool), flagged=5)
    assert (clean.sensitivity.value, clean.lift, clean.yield_.value) == (None, None, 0)
    everything = triage_at_count(SCORES, TRUTH, flagged=10)
    assert (everything.sensitivity.value, everything.residual.value, everything.lift) == (1, None, 1)


@given(cases)
@settings(max_examples=60, deadline=None)
def test_the_curve_rises_and_counts_every_discordance_once(rows):
    scores, truth = rows
    points = triage_curve(scores, truth, flag_rates=(0, 0.25, 0.5, 1))
    assert [p.sensitivity.count for p in points] == sorted(p.sensitivity.count for p in points)
    for point in points:
        assert point.sensitivity.count + point.residual.count == truth.sum()
        assert point.yield_.of + point.residual.of == len(truth)


@given(cases, st.floats(0.05, 50))
@settings(max_examples=100, deadline=None)
def test_the_threshold_by_cost_is_the_cheapest_there_is(rows, cost):
    scores, truth = rows

    def costs(threshold: float) -> float:
        flagged = scores >= threshold
        return cost_of(
            false_negatives=int((truth & ~flagged).sum()), false_positives=int((~truth & flagged).sum()), cost=cost
        )

    found = threshold_for_cost(scores, truth, cost=cost)
    best = min(costs(threshold) for threshold in (*np.unique(scores), np.inf))
    assert costs(np.inf if found is None else found) == pytest.approx(best)


def test_costs_of_the_field():
    # Model X misses 8 of 10 cancers with 10 false alarms, Y misses 1 with 100.
    assert break_even_cost(first=(8, 10), second=(1, 100)) == pytest.approx(90 / 7)
    for cost, better in ((12, "X"), (13, "Y")):
        x = cost_of(false_negatives=8, false_positives=10, cost=cost)
        y = cost_of(false_negatives=1, false_positives=100, cost=cost)
        assert ("X" if x < y else "Y") == better
    assert break_even_cost(first=(1, 10), second=(2, 20)) is None
    assert break_even_cost(first=(1, 10), second=(1, 20)) is None


def test_a_calibrated_probability_is_worth_a_review_from_one_in_one_plus_cost():
    assert decision_probability(cost=9) == pytest.approx(0.1)
    rng = np.random.default_rng(0)
    probabilities = rng.random(20_000)
    found = threshold_for_cost(probabilities, rng.random(20_000) < probabilities, cost=9)
    assert found == pytest.approx(0.1, abs=0.03)
    for wrong in (0, -1, np.inf, np.nan):
        with pytest.raises(InputError, match="cost of a missed case"):
            decision_probability(cost=wrong)


@given(cases, st.integers(0, 12))
@settings(max_examples=100, deadline=None)
def test_the_threshold_by_capacity_uses_it_and_never_exceeds_it(rows, reviews):
    scores, _ = rows
    found = threshold_for_capacity(scores, reviews_a_day=reviews, cases_a_day=10)
    allowed = min(len(scores), len(scores) * reviews / 10)
    flagged = 0 if found is None else int((scores >= found).sum())
    assert flagged <= allowed + 1e-6
    lower = scores[scores < (np.inf if found is None else found)]
    if len(lower):
        assert (scores >= lower.max()).sum() > allowed


def test_capacity_by_hand_and_nonsense():
    assert threshold_for_capacity(SCORES, reviews_a_day=2, cases_a_day=10) == 0.9
    assert threshold_for_capacity(SCORES, reviews_a_day=3, cases_a_day=10) == 0.8
    assert threshold_for_capacity(SCORES, reviews_a_day=0, cases_a_day=10) is None
    with pytest.raises(InputError, match="no capacity"):
        threshold_for_capacity(SCORES, reviews_a_day=3, cases_a_day=0)


def test_scores_that_cannot_be_ordered_are_refused():
    with pytest.raises(InputError, match="no score"):
        triage_at_rate(np.array([0.1, np.nan]), np.array([True, False]), flag_rate=0.5)
    with pytest.raises(InputError, match="one score and one outcome"):
        triage_at_rate(SCORES, TRUTH[:3], flag_rate=0.5)
    with pytest.raises(InputError, match="between 0 and 1"):
        triage_at_rate(SCORES, TRUTH, flag_rate=1.5)


def test_benefit_is_a_product():
    found = expected_benefit(
        severity=np.array([2.0, 1, 2]), probability=np.array([0.1, 0.3, 0.5]), quality=np.array([1, 1, 0.0])
    )
    assert found.tolist() == [0.2, 0.3, 0]


def test_the_audit_sample_depends_on_its_seed_only():
    ids = [f"C{i:03}" for i in range(200)]
    first = audit_sample(ids, size=20, seed=7)
    assert first == audit_sample([*reversed(ids), ids[0]], size=20, seed=7)
    assert first != audit_sample(ids, size=20, seed=8)
    assert len(set(first)) == 20
    assert set(first) <= set(ids)
    assert audit_sample(ids[:3], size=20, seed=7) == tuple(ids[:3])
    assert audit_sample([], size=5, seed=1) == ()
    drawn = np.concatenate([[int(case[1:]) for case in audit_sample(ids, size=20, seed=s)] for s in range(300)])
    assert np.bincount(drawn, minlength=200).min() > 8


def test_binomial_tail():
    assert binomial_tail(0, 5, share=0.1) == pytest.approx(1)
    assert binomial_tail(1, 2, share=0.5) == pytest.approx(0.75)

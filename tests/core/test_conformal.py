"""Prediction sets, abstention, coverage and distance: guarantees by simulation, small tables by hand, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from core.errors import InputError
from core.schemes import load_scheme
from core.uncertainty.conformal import (
    Calibration,
    Method,
    calibrate,
    count_sets,
    needed_cases,
    p_values,
    prediction_sets,
    size_warnings,
)
from core.uncertainty.disagreement import (
    ReadersCalibration,
    difference_loss,
    distance_loss,
    expected_loss,
    fit_readers,
    severity_loss,
    shares_of_readers,
)
from core.uncertainty.distance import colour_statistics, distances, fit_reference, p_values_of_distance
from core.uncertainty.monitoring import (
    EVERYTHING,
    CalibrationFile,
    Group,
    Resolved,
    calibration_text,
    choose,
    coverage_checks,
    parse_calibration,
)
from core.uncertainty.selective import abstains, abstention_band, aurc, risk_at_coverage

SMALL = Calibration(("benign", "cancer"), ((0.2, 0.8, 0.9, 1.0), (0.5, 0.9)))


def sample(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(np.intp)
    positive = 1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.2)))
    return np.stack([1 - positive, positive], axis=1), labels


def test_p_values_by_hand():
    probabilities = np.array([[0.8, 0.2], [0.1, 0.9], [0.95, 0.05]])
    plain = p_values(SMALL, probabilities, method=Method.PLAIN)
    assert plain.tolist() == [[2 / 4, 0], [0, 2 / 2], [3 / 4, 0]]
    valid = p_values(SMALL, probabilities)
    assert valid.tolist() == [[3 / 5, 1 / 3], [1 / 5, 3 / 3], [4 / 5, 1 / 3]]


def test_a_label_stays_only_above_alpha():
    probabilities = np.array([[0.8, 0.2]])
    assert prediction_sets(SMALL, probabilities, alpha=0.5, method=Method.PLAIN).tolist() == [[False, False]]
    assert prediction_sets(SMALL, probabilities, alpha=0.49, method=Method.PLAIN).tolist() == [[True, False]]


def test_counts_by_hand():
    sets = np.array([[True, False], [True, False], [True, True], [False, False]])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    found = count_sets(sets, probabilities, np.array([0, 1, 1, 0]))
    assert (found.n, found.single, found.single_wrong, found.multiple, found.empty) == (4, 2, 1, 1, 1)
    assert (found.point_errors, found.coverage) == (1, 0.5)
    assert found.coverage_by_class == (0.5, 0.5)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_the_valid_count_holds_its_promise_in_each_class(alpha):
    errors = np.zeros(2)
    for seed in range(60):
        calibration = calibrate(*sample(200, seed=seed), classes=("benign", "cancer"))
        probabilities, labels = sample(500, seed=1000 + seed)
        found = count_sets(prediction_sets(calibration, probabilities, alpha=alpha), probabilities, labels)
        errors += 1 - np.array(found.coverage_by_class)
    # Four standard errors of the mean over 60 calibrations with some 60 cases of the rarer class.
    assert (errors / 60 <= alpha + 4 * np.sqrt(alpha / 60 / 60)).all()
    assert (errors / 60 >= alpha / 2).all()


@given(alpha=st.floats(0.001, 0.5), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_sets_shrink_with_alpha_and_the_valid_ones_hold_the_plain_ones(alpha, seed):
    calibration = calibrate(*sample(80, seed=seed), classes=("a", "b"))
    probabilities, _ = sample(60, seed=seed + 1)
    valid = prediction_sets(calibration, probabilities, alpha=alpha)
    assert (valid >= prediction_sets(calibration, probabilities, alpha=alpha, method=Method.PLAIN)).all()
    assert (valid >= prediction_sets(calibration, probabilities, alpha=min(0.9, alpha * 1.5))).all()


@pytest.mark.parametrize(("alpha", "needed"), [(0.001, 999), (0.01, 99), (0.05, 19), (0.1, 9), (0.3, 3)])
def test_how_many_calibration_cases_an_alpha_needs(alpha, needed):
    assert needed_cases(alpha) == needed
    strange = np.array([[0.0, 0.0]])
    for count, kept in ((needed, False), (needed - 1, True)):
        calibration = Calibration(("a", "b"), ((0.5,) * count, (0.5,) * count))
        assert prediction_sets(calibration, strange, alpha=alpha).all() == kept
        assert len(size_warnings(calibration, alpha=alpha)) == (2 if kept else 0)
    assert f"at least {needed}" in size_warnings(Calibration(("a", "b"), ((0.5,), (0.5,) * 999)), alpha=alpha)[0]


@pytest.mark.parametrize(
    ("probabilities", "labels", "match"),
    [
        ([[0.5, 1.5]], [0], "between 0 and 1"),
        ([[0.5, np.nan]], [0], "between 0 and 1"),
        ([[0.5, 0.5]], [2], "one label a case"),
        ([[0.5, 0.5]], [0], "No calibration case is b"),
        ([[0.5, 0.3, 0.2]], [0], "for 2 classes"),
    ],
)
def test_calibration_refuses(probabilities, labels, match):
    with pytest.raises(InputError, match=match):
        calibrate(np.array(probabilities), np.array(labels), classes=("a", "b"))


@pytest.mark.parametrize("alpha", [0, 1, -0.1])
def test_alpha_is_a_share(alpha):
    with pytest.raises(InputError, match="Alpha"):
        prediction_sets(SMALL, np.array([[0.5, 0.5]]), alpha=alpha)


def test_risk_at_coverage_and_aurc_by_hand():
    certainty = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    wrong = np.array([False, False, True, False, True])
    points = risk_at_coverage(certainty, wrong, coverages=(0.4, 0.5, 1))
    assert [(point.reported, point.risk.value) for point in points] == [(2, 0), (3, 1 / 3), (5, 2 / 5)]
    assert aurc(certainty, wrong) == pytest.approx(np.mean([0, 0, 1 / 3, 1 / 4, 2 / 5]))
    assert aurc(np.ones(5), wrong) == pytest.approx(0.4)
    assert aurc(np.ones(5), wrong[::-1]) == pytest.approx(0.4)


def test_abstention():
    scores = np.array([0.05, 0.3, 0.45, 0.55, 0.7, 0.95])
    truth = np.array([False, False, True, False, True, True])
    assert abstains(scores, threshold=0.5, half_width=0.1).tolist() == [False, False, True, True, False, False]
    band = abstention_band(scores, truth, threshold=0.5, risk=0)
    assert (band.low, band.high, band.abstained) == (pytest.approx(0.3), pytest.approx(0.7), 2)
    assert band.risk.count == 0
    assert not abstains(np.array([0.3]), threshold=0.5, half_width=0.5 - band.low)[0]
    assert abstention_band(scores, truth, threshold=0.5, risk=1).abstained == 0
    assert abstention_band(scores, ~truth, threshold=0.5, risk=0).abstained == 6


def test_the_narrowest_calibration_with_enough_cases_is_chosen():
    big = Calibration(("a", "b"), ((0.5,) * 30, (0.5,) * 30))
    file = CalibrationFile("idc", "ab", {EVERYTHING: big, Group("north"): SMALL, Group(None, "s60"): big})
    assert choose(file, Group("north", "s60"), alpha=0.05).group == Group(None, "s60")
    fallen_back = choose(file, Group("north"), alpha=0.05)
    assert fallen_back.group == EVERYTHING
    assert "site north has only 2 cases of a class, 19 are needed" in fallen_back.reason
    assert choose(file, Group("north"), alpha=0.4).group == Group("north")
    with pytest.raises(InputError, match="all sites"):
        choose(CalibrationFile("idc", "ab", {}), Group("x"), alpha=0.1)


def test_a_calibration_file_is_read_back():
    file = CalibrationFile("idc", "ab", {EVERYTHING: SMALL, Group("north", "s60"): SMALL})
    assert parse_calibration(calibration_text(file)) == file
    content = json.loads(calibration_text(file))
    for change in ({"format": "x"}, {"groups": [{}]}, {"groups": 3}):
        with pytest.raises(InputError, match="no calibration file"):
            parse_calibration(json.dumps(content | change))
    content["groups"][0]["true_scores"][0] = [1.5]
    with pytest.raises(InputError, match="no probabilities"):
        parse_calibration(json.dumps(content))


def test_drift_is_told_of_the_group_and_class_that_errs():
    north, south = Group("north"), Group("south")
    resolved = [Resolved(north, "cancer", i >= 8) for i in range(40)] + [
        Resolved(south, "cancer", i > 1) for i in range(40)
    ]
    resolved += [Resolved(north, "benign", True)] * 60  # fmt: skip
    found = {(check.group, check.label): check for check in coverage_checks(resolved, alpha=0.05)}
    assert found[north, "cancer"].errors.count == 8
    assert "8 of 40 resolved cases of site north (class cancer)" in found[north, "cancer"].warning
    assert found[north, ""].errors.of == 100
    assert not found[north, "benign"].warning
    assert not found[south, "cancer"].warning
    assert found[south, "cancer"].probability == pytest.approx(0.6009, abs=1e-3)


@pytest.mark.parametrize("kind", ["mahalanobis", "k_nearest"])
def test_usual_cases_are_seldom_called_unlike_and_others_are(kind):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    reference = fit_reference(rng.normal(size=(1500, 6)) @ mix, kind=kind)
    usual = p_values_of_distance(reference, rng.normal(size=(4000, 6)) @ mix)
    assert (usual <= 0.05).mean() == pytest.approx(0.05, abs=0.02)
    assert usual.min() >= 1 / 751
    assert p_values_of_distance(reference, (rng.normal(size=(50, 6)) + 8) @ mix).max() < 0.005


def test_a_case_as_far_as_a_calibration_case_counts_it():
    features = np.random.default_rng(2).normal(size=(40, 3))
    p = p_values_of_distance(fit_reference(features, seed=5), features[np.random.default_rng(5).permutation(40)[:20]])
    assert sorted(p) == pytest.approx((np.arange(20) + 2) / 21)


def test_the_covariance_is_shrunk_as_ledoit_and_wolf_do():
    features = np.random.default_rng(1).normal(size=(40, 12)) * np.arange(1, 13)
    reference = fit_reference(features, seed=3)
    base = features[np.random.default_rng(3).permutation(40)[20:]]
    scaled = (base - base.mean(axis=0)) / base.std(axis=0)
    theirs = LedoitWolf(assume_centered=True).fit(scaled)
    expected = np.sqrt(theirs.mahalanobis((features - base.mean(axis=0)) / base.std(axis=0)))
    assert distances(reference, features) == pytest.approx(expected)


def test_constant_features_and_few_cases():
    rng = np.random.default_rng(0)
    flat = np.column_stack([rng.normal(size=30), np.full(30, 7.0)])
    assert np.isfinite(distances(fit_reference(flat), flat)).all()
    with pytest.raises(InputError, match="at least 20"):
        fit_reference(flat[:10])
    with pytest.raises(InputError, match="2 features"):
        distances(fit_reference(flat), np.zeros((1, 3)))


def test_colour_statistics_tell_stains_apart():
    white, pink = np.full((2, 8, 8, 3), 255, np.uint8), np.full((1, 8, 8, 3), (205, 120, 180), np.uint8)
    found = colour_statistics(np.concatenate([white, pink]))
    assert found.shape == (3, 9)
    assert found[0] == pytest.approx(np.zeros(9))
    assert found[2][:3] == pytest.approx(-np.log10(np.array([206, 121, 181]) / 256))


def test_offsets_turn_probabilities_into_shares_of_readers():
    rng = np.random.default_rng(0)
    model = rng.dirichlet(np.ones(4), size=400)
    truth = model * np.array([1, 3, 1, 0.3])
    truth /= truth.sum(axis=1, keepdims=True)
    votes = np.stack([rng.multinomial(14, row) for row in truth]).astype(float)
    fitted = fit_readers(model, votes, penalty=0)
    assert shares_of_readers(model, fitted) == pytest.approx(truth, abs=0.03)
    untouched = ReadersCalibration((0.0,) * 4)
    assert shares_of_readers(model, untouched) == pytest.approx(
        np.maximum(model, 1e-4) / np.maximum(model, 1e-4).sum(1, keepdims=True)
    )
    with pytest.raises(InputError, match="at least one read"):
        fit_readers(model, np.zeros_like(votes))


def test_expected_losses_by_hand():
    shares, reads = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), np.array([0, 1])
    assert expected_loss(shares, reads, loss=difference_loss(3)) == pytest.approx([0.5, 0.9])
    assert expected_loss(shares, reads, loss=distance_loss(3)) == pytest.approx([0.7, 0.9])
    nottingham = severity_loss(load_scheme("nottingham"))
    assert expected_loss(shares, reads, loss=nottingham) == pytest.approx([0.3 + 2 * 0.2, 0.9])

"""Logistic regression, SVM and forest kept as arrays: equal to scikit-learn, divided by case, calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from core.errors import InputError, ModelError, NotFoundError
from models.aggregators import machine_learning
from models.aggregators.cards import (
    ENOUGH_SLIDES,
    AggregatorCard,
    digest_of,
    find_aggregator,
    read_aggregator,
    read_aggregator_card,
    write_aggregator,
)
from models.aggregators.machine_learning import CHOICES, KINDS, Fitted, folds_by_group, make_estimator

N, F = 120, 7


def slides(*, signal: float = 1.5, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.str_]]:
    """Features, of which one tells the classes apart; two slides a case."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.random(N // 2) < 0.4, 2)
    features = rng.normal(size=(N, F)) * np.array([1, 10, 0.1, 1, 1, 1, 0])  # the last is constant
    features[:, 0] += signal * labels
    return features, labels, np.repeat([f"case-{i}" for i in range(N // 2)], 2)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_recomputed_from_arrays_is_what_scikit_learn_says(kind, tmp_path: Path):
    features, labels, groups = slides()
    found = machine_learning.fit(kind, features, labels, groups, folds=3, seed=5)
    choice = found.choice
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1
    estimator = make_estimator(kind, choice=choice, seed=5).fit((features - mean) / scale, labels)
    new = np.random.default_rng(9).normal(size=(200, F)) * 2
    x = (new - mean) / scale
    raw = estimator.predict_proba(x)[:, 1] if kind == "forest" else estimator.decision_function(x)
    np.testing.assert_allclose(machine_learning.raw_scores(found.fitted, new), raw, atol=1e-6, rtol=0)
    scores = machine_learning.held_out_scores(kind, features, labels, groups, choice=choice, folds=3, seed=5)
    curve = LogisticRegression(C=1e6).fit(scores[:, None], labels)
    wanted = curve.predict_proba(raw[:, None])[:, 1]
    np.testing.assert_allclose(machine_learning.predict(found.fitted, new), wanted, atol=1e-6, rtol=0)
    kept = write_aggregator(card_for(found.fitted), found.fitted.arrays, tmp_path)
    stored = read_aggregator(kept)
    again = machine_learning.predict(Fitted(kind, stored.arrays), new)
    np.testing.assert_array_equal(again, machine_learning.predict(found.fitted, new))


@pytest.mark.parametrize("kind", KINDS)
def test_the_choice_is_the_one_with_the_highest_auc_of_held_out_slides(kind):
    features, labels, groups = slides(signal=2.5)
    found = machine_learning.fit(kind, features, labels, groups, folds=3, seed=0)
    aucs = {
        choice: roc_auc_score(
            labels,
            machine_learning.held_out_scores(kind, features, labels, groups, choice=choice, folds=3, seed=0),
        )
        for choice in CHOICES[kind]
    }
    assert aucs[found.choice] == max(aucs.values()) > 0.8
    assert roc_auc_score(labels, found.held_out) == pytest.approx(aucs[found.choice])


def test_probabilities_are_calibrated_on_average():
    features, labels, groups = slides()
    found = machine_learning.fit("svm", features, labels, groups, folds=5, seed=0)
    assert found.held_out.mean() == pytest.approx(labels.mean(), abs=0.01)


def test_no_case_is_in_two_folds_and_every_slide_is_held_out_once():
    _, labels, groups = slides()
    folds = folds_by_group(labels, groups, folds=5, seed=3)
    assert len(folds) == 5
    for fold in folds:
        assert not set(groups[fold.fit]) & set(groups[fold.held_out])
        assert 0 < labels[fold.held_out].sum() < len(fold.held_out)
    assert sorted(np.concatenate([fold.held_out for fold in folds]).tolist()) == list(range(N))


def test_nested_rounds_never_see_what_they_are_measured_on():
    features, labels, groups = slides()
    spoilt = features.copy()
    for fold, inner in machine_learning.nested_fits("logistic", features, labels, groups, folds=3, seed=0):
        assert len(inner.held_out) == len(fold.fit)
        spoilt[fold.held_out] = 1e6  # whatever stands there must not matter
        again = machine_learning.fit("logistic", spoilt[fold.fit], labels[fold.fit], groups[fold.fit], folds=3, seed=1)
        np.testing.assert_array_equal(again.held_out, inner.held_out)
        spoilt[fold.held_out] = features[fold.held_out]


def test_labels_that_the_features_contradict_are_refused_instead_of_turned_round():
    scores = np.linspace(1, 0, 40)
    with pytest.raises(InputError, match="no better than chance"):
        machine_learning.calibrate(scores, np.arange(40) > 20)


def test_too_few_cases_are_refused():
    features, labels, _ = slides()
    groups = np.where(labels, "a", "b")
    with pytest.raises(InputError, match="at least two cases"):
        machine_learning.fit("logistic", features, labels, groups, folds=3, seed=0)


def test_other_statistics_than_trained_on_are_refused():
    features, labels, groups = slides()
    found = machine_learning.fit("logistic", features, labels, groups, folds=3, seed=0)
    with pytest.raises(ValueError, match="needs 7 statistics"):
        machine_learning.predict(found.fitted, features[:, :5])


# --- cards ----------------------------------------------------------------------------------------------------------


def card_for(fitted: Fitted, **changes: object) -> AggregatorCard:
    values: dict[str, object] = {
        "name": "trial",
        "kind": fitted.kind,
        "classes": ("other", "idc"),
        "positive_classes": ("idc",),
        "tile_model": "idc",
        "tile_model_sha256": "a" * 64,
        "tiles": "200 um",
        "encoder": "",
        "encoder_sha256": "",
        "features": tuple(f"f{i}" for i in range(F)),
        "statistics_version": "v",
        "slides": 120,
        "positives": 50,
        "groups": 60,
        "warning": "Few.",
        "labels": "made up",
        "split": "by case",
        "training": "here",
        "data_sha256": "b" * 64,
        "threshold": 0.4,
        "threshold_note": "chosen",
        "metrics": {"auc": {"value": 0.9, "low": 0.8, "high": 1.0}},
        "limits": ("of use here only",),
        "created": "2030-01-01",
        "weights": "trial.safetensors",
        "weights_sha256": digest_of(fitted.arrays),
    }
    return AggregatorCard(**{**values, **changes})  # type: ignore[arg-type]


LINE = Fitted("logistic", {"coefficients": np.ones(F), "intercept": np.zeros(1)})


def test_a_card_reads_back_as_it_was_and_nothing_in_the_folder_is_a_pickle(tmp_path: Path):
    card = card_for(LINE)
    path = write_aggregator(card, LINE.arrays, tmp_path / "trial")
    assert read_aggregator_card(path) == card
    assert find_aggregator("trial", folder=tmp_path) == path
    assert find_aggregator(str(path), folder=tmp_path / "elsewhere") == path
    assert find_aggregator(str(path.parent), folder=tmp_path / "elsewhere") == path
    assert {file.suffix for file in path.parent.iterdir()} == {".toml", ".safetensors"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "oracle"}, "kind must be"),
        ({"name": "top_k_mean"}, "rule without training"),
        ({"name": "No Name"}, "lower-case"),
        ({"warning": ""}, "warning"),
        ({"encoder": "model:idc"}, "encoder belongs to attention"),
        ({"kind": "abmil"}, "features belong to statistics"),
        ({"weights": "trial.pkl"}, "never a pickle"),
        ({"weights": "../trial.safetensors"}, "without a folder"),
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"positive_classes": ("dcis",)}, "some of classes"),
    ],
)
def test_cards_that_contradict_themselves_are_refused(changes, says):
    with pytest.raises(ModelError, match=says):
        card_for(LINE, **changes)


def test_from_a_thousand_slides_on_no_warning_is_needed():
    assert card_for(LINE, slides=ENOUGH_SLIDES, warning="").meaning.endswith("threshold 0.40.")


def test_altered_missing_and_foreign_files_are_refused_by_name(tmp_path: Path):
    path = write_aggregator(card_for(LINE), LINE.arrays, tmp_path)
    weights = tmp_path / "trial.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"trial\.safetensors are not those of the card"):
        read_aggregator(path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"trial\.safetensors .* missing"):
        read_aggregator(path)
    path.write_text(path.read_text().replace("positives", "positive_ones"))
    with pytest.raises(ModelError, match="positive_ones"):
        read_aggregator_card(path)
    with pytest.raises(NotFoundError, match="no aggregator 'ghost'"):
        find_aggregator("ghost", folder=tmp_path)

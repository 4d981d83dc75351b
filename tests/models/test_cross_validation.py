"""Folds by patient, what is predicted by whom, and ensembles whose members know different patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from models.data.patches import Patches
from models.data.splits import Split, deal, make_folds
from models.evaluation.cross_validation import OutOfFold, cross_validate, patient_folds
from models.evaluation.fold_ensemble import export_ensemble, fit_member, folds_of, out_of_fold, robust_threshold
from models.registry import load_model
from models.training.config import CardTexts, TrainingConfig

SHARES = st.dictionaries(st.text(min_size=1, max_size=4), st.floats(0, 1), min_size=15, max_size=25)
CLASSES = ("pale", "dark")


@settings(max_examples=40, deadline=None)
@given(SHARES, st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_every_patient_is_measured_once_and_chooses_nothing_there(
    shares: dict[str, float], folds: int, seed: int
) -> None:
    splits = make_folds(shares, folds=folds, seed=seed)
    assert sorted(group for split in splits for group in split.test) == sorted(shares)
    for split in splits:  # Split itself refuses a patient in two parts
        assert sorted(split.train + split.validation + split.test) == sorted(shares)
        assert split.validation
        assert len(split.train) > len(split.validation)
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1


def test_folds_resemble_each_other_in_their_share_of_the_target() -> None:
    shares = {f"p{index}": float(share) for index, share in enumerate(np.linspace(0, 1, 150))}
    for split in make_folds(shares, folds=3, seed=1):
        for part in (split.test, split.validation):
            assert np.mean([shares[group] for group in part]) == pytest.approx(0.5, abs=0.05)


def test_the_seed_decides_on_the_folds() -> None:
    shares = {f"p{index}": index / 30 for index in range(30)}
    assert deal(shares, folds=3, seed=1) == deal(shares, folds=3, seed=1)
    assert deal(shares, folds=3, seed=1) != deal(shares, folds=3, seed=2)


@pytest.mark.parametrize(("groups", "folds", "words"), [(30, 1, "at least 2"), (8, 3, "too few")])
def test_what_cannot_be_divided_is_refused(groups: int, folds: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_folds({f"p{index}": 0.5 for index in range(groups)}, folds=folds, seed=0)


# ---------------------------------------------------------------------------------------------------- small trainings


@pytest.fixture(scope="module")
def toy() -> Patches:
    """Four pale or dark patches of 32 px of each of 18 patients."""
    random = np.random.default_rng(0)
    labels = np.tile([0, 1], 36)
    images = random.normal(np.array([200, 120])[labels][:, None, None, None], 30, (72, 32, 32, 3))
    groups = tuple(f"p{index // 4:02}" for index in range(72))
    return Patches(images.clip(0, 255).astype(np.uint8), labels, groups, CLASSES, "0" * 64)


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    texts = CardTexts(
        title="Toy",
        target="dark patches",
        positive_title="darkness",
        normal_class="pale",
        tissue="none",
        stain=("he",),
        mpp_note="made up",
        data="generated",
        licence_of_data="none needed",
        limits=("a toy",),
    )
    return TrainingConfig(
        name="toy",
        data=tmp_path,
        split=tmp_path / "split.csv",
        output=tmp_path / "run",
        classes=CLASSES,
        positive_classes=("dark",),
        mpp=4.0,
        tile_px=32,
        input_px=32,
        card=texts,
        architecture="mobilenet_v3_small",
        epochs=1,
        batch_size=16,
        bootstrap_draws=20,
    )


def test_every_patch_is_predicted_and_a_second_run_trains_nothing(
    toy: Patches, config: TrainingConfig, tmp_path: Path
) -> None:
    splits = patient_folds(toy, positive=(1,), folds=2, seed=0)
    told: list[str] = []
    found = cross_validate(config, toy, splits=splits, work=tmp_path / "cell", say=told.append)
    assert np.isfinite(found.probability).all()
    assert found.probability.min() >= 0
    assert found.probability.max() <= 1
    for index, split in enumerate(splits):
        assert (found.fold[toy.of_groups(split.test)] == index).all()
    assert [text.split(":")[0] for text in told] == [
        f"cell fold-{fold}, epoch {epoch} of 1" for fold in (0, 1) for epoch in (0, 1)
    ]
    told.clear()
    again = cross_validate(config, toy, splits=splits, work=tmp_path / "cell", say=told.append)
    assert told == []
    np.testing.assert_array_equal(again.probability, found.probability)
    assert again.thresholds == found.thresholds


def test_a_killed_run_trains_only_what_is_missing(toy: Patches, config: TrainingConfig, tmp_path: Path) -> None:
    splits = patient_folds(toy, positive=(1,), folds=2, seed=0)
    whole = cross_validate(config, toy, splits=splits, work=tmp_path / "cell")
    (tmp_path / "cell" / "fold-1.json").unlink()
    told: list[str] = []
    again = cross_validate(config, toy, splits=splits, work=tmp_path / "cell", say=told.append)
    assert {text.split(",")[0] for text in told} == {"cell fold-1"}
    np.testing.assert_allclose(again.probability, whole.probability, atol=1e-6)


def test_calls_use_the_threshold_of_the_fold() -> None:
    found = OutOfFold(
        np.array([0.3, 0.3, 0.6]), np.array([0, 1, 1]), (0.2, 0.5), 1.0, 1.0, train_seconds=0, best_epochs=(1, 1)
    )
    assert found.called.tolist() == [True, False, True]


def test_members_know_all_patients_but_their_own_fold_and_none_of_the_test_part(
    toy: Patches, config: TrainingConfig
) -> None:
    names = sorted(set(toy.groups))
    split = Split(tuple(names[:11]), tuple(names[11:15]), tuple(names[15:]))
    folds = folds_of(replace(config, members=4), toy, split)
    pool = set(names[:15])
    owned = [set(fold.own.groups) for fold in folds]
    assert sorted(group for own in owned for group in own) == sorted(pool)
    for fold, own in zip(folds, owned, strict=True):
        assert set(fold.train.groups) == pool - own


def test_there_are_not_more_members_than_folds(toy: Patches, config: TrainingConfig) -> None:
    names = sorted(set(toy.groups))
    split = Split(tuple(names[:11]), tuple(names[11:15]), tuple(names[15:]))
    with pytest.raises(InputError, match="one member for each"):
        folds_of(replace(config, members=5), toy, split)


def test_an_ensemble_is_exported_with_what_each_member_says_about_patients_it_never_saw(
    toy: Patches, config: TrainingConfig
) -> None:
    names = sorted(set(toy.groups))
    split = Split(tuple(names[:11]), tuple(names[11:15]), tuple(names[15:]))
    plan = replace(config, members=2)
    card = export_ensemble(plan, toy, split)
    model = load_model("toy", device="cpu", root=plan.output)
    assert len(card.members) == 2
    assert model.predict(toy.images[:3]).shape == (3, 2)
    assert set(card.metrics) >= {"validation", "test", "test_darkness", "test_gain_over_darkness"}
    assert "4 folds; each of the 2 networks" in card.split
    folds = folds_of(plan, toy, split)
    states = [fit_member(plan, fold, index=index) for index, fold in enumerate(folds)]
    unseen = out_of_fold(plan, states, folds)
    assert unseen.patches.groups == (*folds[0].own.groups, *folds[1].own.groups)
    np.testing.assert_allclose(unseen.probabilities.sum(axis=1), 1)


def test_one_patient_cannot_move_the_threshold_far() -> None:
    random = np.random.default_rng(3)
    truth = random.random(400) < 0.3
    score = np.where(truth, random.normal(0.6, 0.1, 400), random.normal(0.4, 0.1, 400))
    groups = np.repeat([f"p{index}" for index in range(40)], 10)
    assert robust_threshold(truth, score, groups) == pytest.approx(0.5, abs=0.06)
    odd = np.where(groups == "p0", 1 - score, score)
    assert robust_threshold(truth, odd, groups) == pytest.approx(robust_threshold(truth, score, groups), abs=0.05)

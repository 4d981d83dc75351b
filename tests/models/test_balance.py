"""Class balance: what every strategy shows, counted, and what a missed target weighs, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from core.errors import InputError
from models.training.balance import Balance, Rows, batches_of, class_weights, epoch_rows, positives_in_batch
from models.training.fitting import mean_loss

LABELS = np.array([0] * 70 + [1] * 20 + [2] * 10)


def rows_of(
    balance: Balance,
    *,
    labels: np.ndarray = LABELS,
    seed: int = 0,
    share: float = 0.5,
    batch_size: int = 10,
    positive: tuple[int, ...] = (1, 2),
) -> Rows:
    random = np.random.default_rng(seed)
    return epoch_rows(labels, balance=balance, positive=positive, share=share, batch_size=batch_size, random=random)


@pytest.mark.parametrize(
    ("balance", "counts"),
    [
        ("none", [70, 20, 10]),
        ("weighted", [70, 20, 10]),
        ("undersample", [10, 10, 10]),
        ("oversample", [70, 70, 70]),
    ],
)
def test_an_epoch_shows_each_class_so_often(balance: Balance, counts: list[int]) -> None:
    assert np.bincount(LABELS[rows_of(balance)]).tolist() == counts


@pytest.mark.parametrize("balance", ["none", "weighted"])
def test_unbalanced_epochs_show_every_patch_once(balance: Balance) -> None:
    assert sorted(rows_of(balance)) == list(range(100))


def test_undersampling_never_repeats_a_patch_and_draws_others_next_time() -> None:
    first, second = rows_of("undersample", seed=1), rows_of("undersample", seed=2)
    assert len(set(first)) == len(first)
    assert set(first) >= set(range(90, 100))  # the rarest class is there as a whole
    assert set(first) != set(second)


def test_oversampling_repeats_patches_evenly() -> None:
    times = np.bincount(rows_of("oversample"), minlength=100)
    assert set(times[:70]) == {1}
    assert set(times[70:90]) == {3, 4}
    assert set(times[90:]) == {7}


@pytest.mark.parametrize(("share", "positives"), [(0.25, 3), (0.5, 6), (0.75, 9)])
def test_every_batch_holds_exactly_its_share_of_the_target(share: float, positives: int) -> None:
    rows = rows_of("share", share=share, batch_size=12)
    batches = batches_of(rows, batch_size=12)
    assert len(batches) == 8  # as many as 100 patches in batches of about 12 make
    for batch in batches:
        assert len(batch) == 12
        assert (LABELS[batch] > 0).sum() == positives


@settings(deadline=None)
@given(
    negatives=st.integers(1, 60),
    positives=st.integers(1, 60),
    quarter=st.integers(1, 3),
    quarters=st.integers(1, 6),
    seed=st.integers(0, 2**31),
)
def test_the_share_holds_whatever_the_data(
    negatives: int, positives: int, quarter: int, quarters: int, seed: int
) -> None:
    labels = np.array([0] * negatives + [1] * positives)
    size = 4 * quarters
    rows = rows_of("share", labels=labels, seed=seed, share=quarter / 4, batch_size=size, positive=(1,))
    batches = batches_of(rows, batch_size=size)
    assert {int(labels[batch].sum()) for batch in batches} == {quarter * quarters}
    assert {len(batch) for batch in batches} == {size}
    times = np.bincount(rows, minlength=len(labels))
    for members in (times[:negatives], times[negatives:]):  # no patch is favoured
        assert members.max() - members.min() <= 1


def test_the_target_does_not_always_stand_first_in_a_batch() -> None:
    first = {int(LABELS[batch[0]] > 0) for batch in batches_of(rows_of("share"), batch_size=10)}
    assert first == {0, 1}


@pytest.mark.parametrize("balance", ["none", "undersample", "oversample", "share"])
def test_the_seed_decides_the_order(balance: Balance) -> None:
    assert rows_of(balance, seed=5).tolist() == rows_of(balance, seed=5).tolist()
    assert rows_of(balance, seed=5).tolist() != rows_of(balance, seed=6).tolist()


@pytest.mark.parametrize(("share", "size"), [(0.25, 30), (0.5, 7), (0.0, 8), (1.0, 8), (-0.5, 8)])
def test_a_share_that_is_no_whole_number_of_patches_is_refused(share: float, size: int) -> None:
    with pytest.raises(InputError, match="batch_size"):
        positives_in_batch(share, size)


def test_a_share_needs_both_sides() -> None:
    with pytest.raises(InputError, match="target"):
        rows_of("share", labels=np.zeros(20, np.int64))


@pytest.mark.parametrize(
    ("counts", "positive", "cost", "expected"),
    [
        # 8 patches; raw weights 1 and 5 sum to 6 x 1 + 2 x 5 = 16, so everything is halved
        ((6, 2), (1,), 5.0, (0.5, 2.5)),
        # the target may be the first class: 6 x 5 + 2 x 1 = 32, divided by 4
        ((6, 2), (0,), 5.0, (1.25, 0.25)),
        # a cost of 1 changes nothing
        ((6, 2), (1,), 1.0, (1.0, 1.0)),
        # inverse frequency: 8 / (2 x 6) and 8 / (2 x 2)
        ((6, 2), (1,), None, (2 / 3, 2.0)),
        # two target classes: 4 x 1 + 2 x 3 + 2 x 3 = 16 for 8 patches
        ((4, 2, 2), (1, 2), 3.0, (0.5, 1.5, 1.5)),
        # 10 / (3 x 6), 10 / (3 x 3), 10 / (3 x 1)
        ((6, 3, 1), (1,), None, (5 / 9, 10 / 9, 10 / 3)),
    ],
)
def test_class_weights_by_hand(
    counts: tuple[int, ...], positive: tuple[int, ...], cost: float | None, expected: tuple[float, ...]
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = class_weights(labels, classes=len(counts), positive=positive, cost=cost)
    np.testing.assert_allclose(weights, expected)
    assert weights[labels].mean() == pytest.approx(1)


def test_a_class_without_patches_has_no_weight() -> None:
    with pytest.raises(InputError, match="number 1"):
        class_weights(np.array([0, 0]), classes=2, positive=(1,), cost=5)


def test_the_weighted_loss_by_hand() -> None:
    logits, labels = torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])
    weight = torch.tensor([0.5, 2.5])
    found = mean_loss(logits, labels, weight=weight, label_smoothing=0.0)
    assert float(found) == pytest.approx(math.log(2) * (0.5 + 0.5 + 0.5 + 2.5) / 4)  # not divided by 4 weights' sum
    one = mean_loss(torch.tensor([[0.0, math.log(3)]]), torch.tensor([1]), weight=weight, label_smoothing=0.0)
    assert float(one) == pytest.approx(2.5 * math.log(4 / 3))
    even = mean_loss(logits, labels, weight=None, label_smoothing=0.0)
    assert float(even) == pytest.approx(math.log(2))


@pytest.mark.parametrize("cost", [5.0, 12.86, 20.0])
def test_with_weight_c_the_network_calls_where_missing_becomes_dearer(cost: float) -> None:
    """The output that minimises the weighted loss passes 1/2 where the probability passes 1 / (1 + c)."""
    labels = np.repeat([0, 1], [900, 100])
    negative, positive = class_weights(labels, classes=2, positive=(1,), cost=cost)
    weight = torch.tensor([negative, positive])

    def best_output(probability: float) -> float:
        def expected_loss(logit: float) -> float:
            logits = torch.tensor([[0.0, logit]], dtype=torch.float64)
            of = [float(mean_loss(logits, torch.tensor([k]), weight=weight, label_smoothing=0.0)) for k in (0, 1)]
            return (1 - probability) * of[0] + probability * of[1]

        return 1 / (1 + math.exp(-minimize_scalar(expected_loss, bounds=(-12, 12), method="bounded").x))

    edge = 1 / (1 + cost)
    assert best_output(edge) == pytest.approx(0.5, abs=1e-4)
    assert best_output(0.8 * edge) < 0.5 < best_output(1.2 * edge)
    assert best_output(0.3) == pytest.approx(cost * 0.3 / (cost * 0.3 + 0.7), abs=1e-4)

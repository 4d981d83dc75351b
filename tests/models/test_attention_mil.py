"""Gated attention: shapes, masks, what must not change it, gradients, and a needle it has to find."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConflictError, InputError, ModelError
from models.aggregators.attention import GatedAttention, arrays_of, attend, network_from, pad
from models.aggregators.attention_fitting import AttentionSettings, balanced_loss, fit_attention, logits_of

D = 6


def network(*, seed: int = 0, hidden: int = 8, gate: int = 4) -> GatedAttention:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GatedAttention(D, hidden=hidden, gate=gate).eval()


def bag(tiles: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(tiles, D)).astype(np.float32)


def test_the_formula_of_the_paper_by_hand():
    """One hidden unit passes the only entry through; attention is softmax of w tanh(v h) sigmoid(u h)."""
    net = GatedAttention(1, hidden=1, gate=1).eval()
    values = {"project.0": (1, 0), "content": (0.5, 0), "gate": (-1, 0), "weigh": (2, 0), "judge": (3, -1)}
    for name, (weight, bias) in values.items():
        layer = net.get_submodule(name)
        torch.nn.init.constant_(layer.weight, weight)
        torch.nn.init.constant_(layer.bias, bias)
    h = np.array([0.5, 2.0, 1.0])
    score = 2 * np.tanh(0.5 * h) / (1 + np.exp(h))
    attention = np.exp(score) / np.exp(score).sum()
    found = attend(net, h[:, None].astype(np.float32))
    np.testing.assert_allclose(found.attention, attention, atol=1e-6)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-(3 * attention @ h - 1))), abs=1e-6)


def test_shapes_and_sums():
    logits, attention = network()(*pad([bag(5), bag(1), bag(9)]))
    assert logits.shape == (3,)
    assert attention.shape == (3, 9)
    np.testing.assert_allclose(attention.sum(dim=1).detach(), 1, atol=1e-6)
    assert attention[1, 0].item() == 1.0


@pytest.mark.parametrize("rubbish", [0.0, 1e6, np.nan, np.inf])
def test_padded_tiles_get_exactly_no_attention_and_change_nothing(rubbish):
    net = network()
    bags, mask = pad([bag(5), bag(12, seed=1)])
    alone, of_alone = net(*pad([bag(5)]))
    bags[0, 5:] = rubbish
    logits, attention = net(bags, mask)
    assert (attention[0, 5:] == 0).all()
    np.testing.assert_allclose(logits[0].detach(), alone[0].detach(), atol=1e-6)
    np.testing.assert_allclose(attention[0, :5].detach(), of_alone[0].detach(), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(11)))
def test_attention_follows_its_tile_and_the_slide_does_not_depend_on_the_order(order):
    net, tiles = network(), bag(11)
    one, other = attend(net, tiles), attend(net, tiles[list(order)])
    np.testing.assert_allclose(other.attention, one.attention[list(order)], atol=1e-6)
    assert other.probability == pytest.approx(one.probability, abs=1e-6)


def test_gradients_reach_every_weight_and_no_padded_tile():
    net = network().train()
    bags, mask = pad([bag(5), bag(9, seed=1)])
    bags.requires_grad_()
    logits, _ = net(bags, mask)
    balanced_loss(logits, np.array([True, False])).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        # A constant added to all scores of a bag leaves its softmax as it is.
        assert (weight.grad.abs().sum() > 1e-6) == (name != "weigh.bias"), name
    assert bags.grad is not None
    assert (bags.grad[0, 5:] == 0).all()
    assert (bags.grad[0, :5] != 0).any()


def test_both_classes_weigh_the_same_however_rare():
    logits = torch.tensor([2.0, 0.0, 0.0, 0.0])
    labels = np.array([True, False, False, False])
    positive, negative = np.log1p(np.exp(-2.0)), np.log(2)
    assert float(balanced_loss(logits, labels)) == pytest.approx((positive + negative) / 2)


def test_weights_survive_as_arrays_and_foreign_ones_are_refused_by_name():
    net = network()
    arrays = arrays_of(net)
    again = network_from(arrays)
    assert attend(again, bag(7)).probability == attend(net, bag(7)).probability
    with pytest.raises(ModelError, match=r"judge\.bias"):
        network_from({name: value for name, value in arrays.items() if name != "judge.bias"})
    with pytest.raises(ModelError, match=r"project\.0\.weight"):
        network_from({"head.weight": np.zeros((2, 2))})


def test_a_slide_without_tiles_and_other_embeddings_are_refused():
    with pytest.raises(InputError, match="at least one tile"):
        attend(network(), np.zeros((0, D), np.float32))
    with pytest.raises(InputError, match="trained on 6 numbers"):
        attend(network(), np.zeros((3, D + 1), np.float32))


# --- fitting --------------------------------------------------------------------------------------------------------

QUICK = AttentionSettings(epochs=30, patience=30, learning_rate=3e-3, dropout=0.1, seed=3)


def needles(slides: int, *, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Slides of 100 tiles; in every second one a single tile, 1 %, is of another kind."""
    rng = np.random.default_rng(seed)
    labels = np.arange(slides) % 2 == 0
    bags = [rng.normal(size=(100, D)).astype(np.float32) for _ in range(slides)]
    for tiles, label in zip(bags, labels, strict=True):
        if label:
            tiles[rng.integers(100)] += np.array([4, -4, 4, 0, 0, 0], np.float32)
    return bags, labels


def fitted(checkpoint: Path | None = None, *, settings: AttentionSettings = QUICK, fingerprint: str = "f"):
    train, labels = needles(48, seed=1)
    validation, truth = needles(24, seed=2)
    return fit_attention(
        train, labels, validation, truth, settings=settings, checkpoint=checkpoint, fingerprint=fingerprint
    )


@pytest.fixture(scope="module")
def unbroken():
    return fitted()


def test_one_tile_in_a_hundred_is_found_and_attended_to(unbroken):
    bags, labels = needles(40, seed=7)
    called = logits_of(unbroken.network, bags) > 0
    assert (called == labels).mean() >= 0.9
    # The mean of the tiles shows nothing of it.
    means = np.array([tiles.mean(axis=0) for tiles in bags])
    assert np.abs(means[labels].mean(axis=0) - means[~labels].mean(axis=0)).max() < 0.15
    shares = [attend(unbroken.network, tiles).attention[int((tiles @ [4, -4, 4, 0, 0, 0]).argmax())] for tiles in bags]
    assert np.median(np.array(shares)[labels]) > 0.3


def test_the_same_seed_gives_the_same_weights_and_leaves_the_worlds_generator_alone(unbroken):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    again = fitted()
    assert torch.equal(before, torch.get_rng_state())
    for one, other in zip(unbroken.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    other_seed = fitted(settings=replace(QUICK, epochs=2, seed=4))
    assert other_seed.history[0].loss != unbroken.history[0].loss


def test_a_fit_that_was_stopped_goes_on_to_the_same_weights(unbroken, tmp_path: Path):
    checkpoint = tmp_path / "checkpoint.pt"
    stop = 7

    class StoppedError(Exception):
        pass

    def interrupt(done: int, _total: int, _sentence: str) -> None:
        if done == stop:
            raise StoppedError

    train, labels = needles(48, seed=1)
    validation, truth = needles(24, seed=2)
    with pytest.raises(StoppedError):
        fit_attention(
            train,
            labels,
            validation,
            truth,
            settings=QUICK,
            checkpoint=checkpoint,
            fingerprint="f",
            progress=interrupt,
        )
    resumed = fitted(checkpoint)
    assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in unbroken.history]
    for one, other in zip(unbroken.network.state_dict().values(), resumed.network.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ConflictError, match="other slides, labels or settings"):
        fitted(checkpoint, fingerprint="g")


def test_it_stops_early_and_keeps_the_best_epoch():
    train, labels = needles(24, seed=1)
    noise, truth = needles(24, seed=2)
    truth = ~truth  # what is learnt makes this validation part worse from the first epoch on
    state = fit_attention(train, labels, noise, truth, settings=replace(QUICK, patience=4))
    assert len(state.history) == state.best_epoch + 4 < QUICK.epochs
    best = min(state.history, key=lambda epoch: epoch.loss)
    assert best.epoch == state.best_epoch
    loss = float(balanced_loss(torch.from_numpy(logits_of(state.network, noise)), truth))
    assert loss == pytest.approx(best.loss)


def test_a_part_with_one_class_only_is_refused():
    train, labels = needles(10, seed=1)
    with pytest.raises(InputError, match="validation part needs slides with and without"):
        fit_attention(train, labels, train[:2], np.array([True, True]), settings=QUICK)


def test_a_slide_larger_than_an_epoch_sees_is_drawn_from():
    train, labels = needles(10, seed=1)
    state = fit_attention(train, labels, train, labels, settings=replace(QUICK, epochs=1, most_tiles=5))
    assert np.isfinite(state.history[0].train_loss)


def test_fitting_leaves_the_embeddings_as_they_are():
    train, labels = needles(10, seed=1)
    kept = copy.deepcopy(train)
    fit_attention(train, labels, train, labels, settings=replace(QUICK, epochs=1))
    for one, other in zip(train, kept, strict=True):
        np.testing.assert_array_equal(one, other)

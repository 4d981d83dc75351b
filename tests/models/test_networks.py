"""Every architecture: built, fused without a change, taken apart into body and head, and started from weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import list_models

from core.errors import ModelError
from models.networks import (
    ARCHITECTURES,
    build_network,
    embed,
    fold_input_scale,
    fuse_batch_norms,
    replace_head,
    split_head,
)

NAMES = (
    "alexnet",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_lite0",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet18",
    "resnet34",
    "resnet50",
)

BEFORE_THEIR_CONVOLUTION = {"densenet121": 62}
"""Batch norms that no convolution directly precedes: the first of each of 58 layers, 3 transitions, the last."""


def enliven(network: nn.Module) -> nn.Module:
    """Give batch norms statistics under which the images matter, and each of its own, so that a wrong fusion shows.

    With those of a fresh network (mean 0, variance 1) the signal dies out on the way: EfficientNet-B0 then answers two
    different images alike to six digits, and any fusion would agree with any other.
    """
    torch.manual_seed(1)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.8, 1.2)
        nn.init.uniform_(norm.bias, -0.2, 0.2)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 64, 64))
    return network.eval()


@pytest.fixture(scope="module", params=NAMES)
def named(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    torch.manual_seed(0)
    return request.param, enliven(build_network(request.param, classes=3))


def batch_norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_these_are_all() -> None:
    assert tuple(sorted(ARCHITECTURES)) == NAMES


def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(7))


def spread(logits: Tensor) -> float:
    """How differently two images are answered: what a deviation must be small against."""
    return float((logits[0] - logits[1]).abs().max())


def test_fusing_and_folding_change_nothing(named: tuple[str, nn.Module]) -> None:
    name, network = named
    batch, scale = images(), torch.tensor([2.0, 4.0, 8.0])
    changed = copy.deepcopy(network)
    fuse_batch_norms(changed)
    fold_input_scale(changed, (2.0, 4.0, 8.0))
    with torch.no_grad():
        expected = network(batch)
        found = changed(batch * scale.view(3, 1, 1))
    assert spread(expected) > 1e-4
    assert float((found - expected).abs().max()) < 0.01 * spread(expected)
    assert batch_norms(changed) == BEFORE_THEIR_CONVOLUTION.get(name, 0)


def test_the_comparison_sees_a_wrong_fusion(named: tuple[str, nn.Module]) -> None:
    name, network = named
    if not batch_norms(network):
        pytest.skip(f"{name} has no batch norm")
    broken = copy.deepcopy(network)
    first = next(module for module in broken.modules() if isinstance(module, nn.BatchNorm2d))
    first.running_mean.add_(0.2)
    with torch.no_grad():
        expected, found = network(images()), broken(images())
    assert float((found - expected).abs().max()) > 0.05 * spread(expected)


def test_body_and_head_are_the_network(named: tuple[str, nn.Module]) -> None:
    name, network = named
    batch = torch.randn(2, 3, 64, 64)
    body, head = split_head(network, architecture=name)
    with torch.no_grad():
        embeddings = body(batch)
        assert embeddings.shape == (2, ARCHITECTURES[name].embedding_size)
        assert torch.equal(head(embeddings), network(batch))
        assert torch.equal(embed(network, name, batch), embeddings)


def test_body_and_head_share_the_weights_and_leave_the_network_whole(named: tuple[str, nn.Module]) -> None:
    name, network = named
    body, head = split_head(network, architecture=name)
    own = {tensor.data_ptr() for tensor in network.parameters()}
    assert {tensor.data_ptr() for part in (body, head) for tensor in part.parameters()} == own
    assert isinstance(network.get_submodule(ARCHITECTURES[name].head), nn.Linear)


def test_a_new_head_has_the_classes_asked_for(named: tuple[str, nn.Module]) -> None:
    name, network = named
    changed = copy.deepcopy(network)
    replace_head(changed, architecture=name, classes=7)
    with torch.no_grad():
        assert changed(torch.randn(1, 3, 64, 64)).shape == (1, 7)
    assert embed(changed, name, torch.zeros(1, 3, 64, 64)).shape == (1, ARCHITECTURES[name].embedding_size)


def test_the_smallest_input_passes(named: tuple[str, nn.Module]) -> None:
    name, network = named
    side = ARCHITECTURES[name].min_input_px
    with torch.no_grad():
        assert network(torch.zeros(1, 3, side, side)).isfinite().all()


def test_alexnet_needs_what_it_says() -> None:
    side = ARCHITECTURES["alexnet"].min_input_px - 1
    with pytest.raises(RuntimeError, match="too small"):
        build_network("alexnet", classes=2).eval()(torch.zeros(1, 3, side, side))


def test_gradients_reach_every_weight(named: tuple[str, nn.Module]) -> None:
    name, network = named
    learning = copy.deepcopy(network).train()
    embed(learning, name, torch.randn(2, 3, 64, 64)).square().mean().backward()
    head = f"{ARCHITECTURES[name].head}."
    without = {key for key, tensor in learning.named_parameters() if tensor.grad is None}
    assert without == {f"{head}weight", f"{head}bias"}


def test_an_architecture_states_its_source_and_its_imagenet_scale(named: tuple[str, nn.Module]) -> None:
    architecture = ARCHITECTURES[named[0]]
    assert "arXiv" in architecture.reference
    assert all(100 < mean < 130 for mean in architecture.mean_255)
    assert all(55 < std <= 128 for std in architecture.std_255)


def test_depthwise_networks_train_in_float32() -> None:
    assert {name for name in NAMES if not ARCHITECTURES[name].trains_in_bf16} == {
        name for name in NAMES if name.startswith(("efficientnet", "mobilenet"))
    }


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"'vgg16'.*alexnet.*resnet50"):
        build_network("vgg16", classes=2)


def test_names_are_those_of_torchvision_where_it_has_them() -> None:
    assert set(NAMES) - set(list_models()) == {"efficientnet_lite0"}

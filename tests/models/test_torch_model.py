from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import DeviceMemoryError, InputError, ModelError
from models.cards import Member
from models.device import Device, choose_device, cpu_has_bf16
from models.networks import build_network, embed, fold_input_scale, fuse_batch_norms
from models.torch_model import IDC_MEAN_255, IDC_STD_255, TorchTileModel, isometric_views


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """resnet18 with random weights and batch statistics that make a wrong fusion visible."""
    torch.manual_seed(1)
    built = build_network("resnet18", classes=2).eval()
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return built


@pytest.fixture(scope="module")
def tiles() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (7, 50, 50, 3), dtype=np.uint8)


def as_model(network: nn.Module, *, input_px: int = 64, temperature: float = 1.0) -> TorchTileModel:
    return TorchTileModel.from_network(
        network,
        name="random",
        classes=("no", "yes"),
        tile_px=50,
        mpp=4.0,
        input_px=input_px,
        architecture="resnet18",
        device="cpu",
        temperature=temperature,
    )


def unregistered(network: nn.Module) -> TorchTileModel:
    return TorchTileModel.from_network(
        network, name="own", classes=("no", "yes"), tile_px=50, mpp=4.0, input_px=64, device="cpu"
    )


MEMBERS = (("resnet18", 64, 1.0), ("mobilenet_v3_small", 96, 2.0), ("densenet121", 50, 0.5))
"""Architecture, input side, temperature."""


@pytest.fixture(scope="module")
def members() -> tuple[tuple[nn.Module, Member], ...]:
    torch.manual_seed(3)
    made: list[tuple[nn.Module, Member]] = []
    for architecture, input_px, temperature in MEMBERS:
        built = build_network(architecture, classes=3)
        with torch.no_grad():
            for module in built.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1.0
            built.train()(torch.randn(4, 3, 64, 64))  # gives batch norms statistics under which images matter
        member = Member(architecture, input_px, "w.safetensors", "0" * 64, temperature, IDC_MEAN_255, IDC_STD_255)
        made.append((built.eval(), member))
    return tuple(made)


def ensemble(members: Sequence[tuple[nn.Module, Member]], *, isometries: int = 1) -> TorchTileModel:
    return TorchTileModel.from_members(
        members, name="e", classes=("a", "b", "c"), tile_px=50, mpp=4.0, isometries=isometries, device=EXACT
    )


EXACT = Device(torch.device("cpu"), torch.float32, "cpu (fp32)")
"""Without the rounding of bf16."""


def prepared(tiles: NDArray[np.uint8], *, input_px: int) -> Tensor:
    batch = torch.tensor(tiles).permute(0, 3, 1, 2).float()
    batch = nn.functional.interpolate(batch, size=[input_px, input_px], mode="bilinear")
    return (batch - torch.tensor(IDC_MEAN_255).view(3, 1, 1)) / torch.tensor(IDC_STD_255).view(3, 1, 1)


def reference(
    network: nn.Module, tiles: NDArray[np.uint8], *, input_px: int, temperature: float = 1.0
) -> NDArray[np.float32]:
    """The textbook way: float32, no fusion, no folding."""
    with torch.no_grad():
        return torch.softmax(network(prepared(tiles, input_px=input_px)) / temperature, dim=1).numpy()


def test_probabilities_are_float32_rows_that_sum_to_one(network: nn.Module, tiles: NDArray[np.uint8]) -> None:
    found = as_model(network).predict(tiles)
    assert found.dtype == np.float32
    assert found.shape == (7, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_fused_and_folded_model_agrees_with_the_textbook_way(network: nn.Module, tiles: NDArray[np.uint8]) -> None:
    expected = reference(network, tiles, input_px=64)
    assert expected[:, 1].std() > 0.001  # otherwise anything would agree
    np.testing.assert_allclose(as_model(network).predict(tiles), expected, atol=0.02 if cpu_has_bf16() else 1e-4)


def test_fusing_and_folding_change_nothing_in_float32(network: nn.Module) -> None:
    changed = copy.deepcopy(network)
    fuse_batch_norms(changed)
    fold_input_scale(changed, (2.0, 4.0, 8.0))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in changed.modules())
    batch = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        scaled = changed(batch * torch.tensor([2.0, 4.0, 8.0]).view(3, 1, 1))
        torch.testing.assert_close(scaled, network(batch), rtol=1e-3, atol=1e-3)


def test_an_ensemble_is_the_mean_of_the_calibrated_probabilities_of_its_members(
    members: tuple[tuple[nn.Module, Member], ...], tiles: NDArray[np.uint8]
) -> None:
    single = [ensemble([member]).predict(tiles) for member in members]
    for (network, member), found in zip(members, single, strict=True):
        expected = reference(network, tiles, input_px=member.input_px, temperature=member.temperature)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(single[0] - single[1]).max() > 0.01  # otherwise the mean would say nothing
    np.testing.assert_allclose(ensemble(members).predict(tiles), np.mean(single, axis=0), atol=1e-6)


def test_embeddings_of_members_stand_side_by_side(
    members: tuple[tuple[nn.Module, Member], ...], tiles: NDArray[np.uint8]
) -> None:
    probabilities, embeddings = ensemble(members).predict_and_embed(tiles)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (7, 512 + 1024 + 1024)
    np.testing.assert_array_equal(probabilities, ensemble(members).predict(tiles))
    start = 0
    for network, member in members:
        batch = prepared(tiles, input_px=member.input_px)
        with torch.no_grad():
            expected = embed(network, member.architecture, batch).numpy()
        found = embeddings[:, start : start + expected.shape[1]]
        np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-3)
        start += expected.shape[1]


@pytest.mark.parametrize("number", [1, 2, 4, 8])
def test_isometric_views_are_a_group(number: int) -> None:
    """No view twice, and every view of a view is one of them: so the mean cannot depend on how a tile lies."""
    image = torch.arange(9.0).reshape(1, 1, 3, 3)

    def views(of: Tensor) -> set[tuple[float, ...]]:
        return {tuple(view.flatten().tolist()) for view in isometric_views(of, number=number)}

    assert len(views(image)) == number
    assert all(views(view) == views(image) for view in isometric_views(image, number=number))
    assert torch.equal(next(isometric_views(image, number=number)), image)


def test_a_mean_over_all_isometries_is_blind_to_turning_and_mirroring(
    members: tuple[tuple[nn.Module, Member], ...], tiles: NDArray[np.uint8]
) -> None:
    plain, averaged = ensemble(members[:1]), ensemble(members[:1], isometries=8)
    turned = np.rot90(tiles, axes=(1, 2))[:, ::-1]
    assert np.abs(plain.predict(turned) - plain.predict(tiles)).max() > 0.001
    for found, expected in zip(averaged.predict_and_embed(turned), averaged.predict_and_embed(tiles), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    by_hand = np.mean(
        [
            plain.predict(np.rot90(flipped, turns, (1, 2)))
            for flipped in (tiles, tiles[:, :, ::-1])
            for turns in range(4)
        ],
        axis=0,
    )
    np.testing.assert_allclose(averaged.predict(tiles), by_hand, atol=1e-5)


def test_a_network_of_no_registered_architecture_runs_unfused(tiles: NDArray[np.uint8]) -> None:
    """A batch norm named after a convolution, but computed before it: fusing by the order of names would be wrong."""

    class NormFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3)
            self.norm = nn.BatchNorm2d(3)
            self.head = nn.Linear(3, 2)

        def forward(self, batch: Tensor) -> Tensor:
            return self.head(self.conv(self.norm(batch)).mean(dim=(2, 3)))

    torch.manual_seed(4)
    network = NormFirst().eval()
    network.norm.running_var.fill_(4.0)
    model = unregistered(network)
    with torch.no_grad():
        folded = copy.deepcopy(network)
        fold_input_scale(folded, IDC_STD_255)
        centred = prepared(tiles, input_px=64) * torch.tensor(IDC_STD_255).view(3, 1, 1)
        expected = torch.softmax(folded(centred), dim=1).numpy()
    probabilities, embeddings = model.predict_and_embed(tiles)
    np.testing.assert_allclose(probabilities, expected, atol=0.02)
    assert embeddings.shape == (7, 2)


def test_the_given_network_stays_as_it_was(network: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    as_model(network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_tile_is_judged_alike_in_any_batch(network: nn.Module, tiles: NDArray[np.uint8]) -> None:
    model = as_model(network)
    alone = np.concatenate([model.predict(tiles[i : i + 1]) for i in range(len(tiles))])
    np.testing.assert_allclose(model.predict(tiles), alone, atol=0.02)
    np.testing.assert_allclose(model.predict(tiles[::-1])[::-1], model.predict(tiles), atol=0.02)


def test_no_tiles_give_no_rows(network: nn.Module) -> None:
    none = np.empty((0, 50, 50, 3), np.uint8)
    assert as_model(network).predict(none).shape == (0, 2)
    probabilities, embeddings = as_model(network).predict_and_embed(none)
    assert (probabilities.shape, embeddings.shape) == ((0, 2), (0, 512))


def test_read_only_and_strided_tiles_are_taken(network: nn.Module, tiles: NDArray[np.uint8]) -> None:
    model = as_model(network)
    frozen = tiles.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(model.predict(frozen), model.predict(tiles))
    np.testing.assert_allclose(model.predict(tiles[:, ::-1]), model.predict(tiles[:, ::-1].copy()))


def test_larger_tiles_are_shrunk_with_antialiasing(network: nn.Module) -> None:
    stripes = np.zeros((1, 256, 256, 3), np.uint8)
    stripes[:, :, ::2] = 254  # without antialiasing every sample could hit the same stripes
    grey = np.full((1, 256, 256, 3), 127, np.uint8)
    model = as_model(network)
    np.testing.assert_allclose(model.predict(stripes), model.predict(grey), atol=0.02)


def test_a_high_temperature_makes_the_model_unsure(network: nn.Module, tiles: NDArray[np.uint8]) -> None:
    sure, unsure = (as_model(network, temperature=t).predict(tiles)[:, 1] for t in (1.0, 1000.0))
    assert np.abs(unsure - 0.5).max() < 0.01 < np.abs(sure - 0.5).max()


@pytest.mark.parametrize(
    "bad",
    [np.zeros((2, 50, 50, 3), np.float32), np.zeros((50, 50, 3), np.uint8), np.zeros((2, 3, 50, 50), np.uint8)],
    ids=["float", "single", "channels first"],
)
def test_other_arrays_are_refused(network: nn.Module, bad: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="uint8"):
        as_model(network).predict(bad)


class Greedy(nn.Module):
    """Fails as a device without memory does."""

    def __init__(self, error: RuntimeError) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.error = error

    def forward(self, _batch: Tensor) -> Tensor:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 GB")],
)
def test_lack_of_memory_is_a_device_memory_error(error: RuntimeError, tiles: NDArray[np.uint8]) -> None:
    with pytest.raises(DeviceMemoryError, match="7 tiles"):
        unregistered(Greedy(error)).predict(tiles)


def test_other_runtime_errors_stay_what_they_are(tiles: NDArray[np.uint8]) -> None:
    with pytest.raises(RuntimeError, match="shape"):
        unregistered(Greedy(RuntimeError("shape mismatch"))).predict(tiles)


def test_a_network_that_does_not_take_rgb_is_refused() -> None:
    with pytest.raises(ModelError, match="three channels"):
        unregistered(nn.Sequential(nn.Conv2d(1, 2, 1)))


def test_device_is_said_in_words(network: nn.Module) -> None:
    kind = "bf16" if cpu_has_bf16() else "fp32"
    assert as_model(network).device.startswith(f"cpu ({kind}, {torch.get_num_threads()} thread")


def test_unknown_device_is_refused() -> None:
    with pytest.raises(InputError, match="tpu"):
        choose_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="CUDA"):
        choose_device("cuda")
    assert choose_device("auto").target.type == "cpu"

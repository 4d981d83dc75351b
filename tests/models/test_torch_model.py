from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import DeviceMemoryError, InputError, ModelError
from models.device import choose_device, cpu_has_bf16
from models.networks import build_network, fold_input_scale, fuse_batch_norms
from models.torch_model import IDC_MEAN_255, IDC_STD_255, TorchTileModel


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
        device="cpu",
        temperature=temperature,
    )


def reference(network: nn.Module, tiles: NDArray[np.uint8], *, input_px: int) -> NDArray[np.float32]:
    """The textbook way: float32, no fusion, no folding."""
    batch = torch.tensor(tiles).permute(0, 3, 1, 2).float()
    batch = nn.functional.interpolate(batch, size=[input_px, input_px], mode="bilinear")
    batch = (batch - torch.tensor(IDC_MEAN_255).view(3, 1, 1)) / torch.tensor(IDC_STD_255).view(3, 1, 1)
    with torch.no_grad():
        return torch.softmax(network(batch), dim=1).numpy()


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
    assert as_model(network).predict(np.empty((0, 50, 50, 3), np.uint8)).shape == (0, 2)


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
        as_model(Greedy(error)).predict(tiles)


def test_other_runtime_errors_stay_what_they_are(tiles: NDArray[np.uint8]) -> None:
    with pytest.raises(RuntimeError, match="shape"):
        as_model(Greedy(RuntimeError("shape mismatch"))).predict(tiles)


def test_a_network_that_does_not_take_rgb_is_refused() -> None:
    with pytest.raises(ModelError, match="three channels"):
        as_model(nn.Sequential(nn.Conv2d(1, 2, 1)))


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


def test_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"'alexnet'.*resnet18"):
        build_network("alexnet", classes=2)

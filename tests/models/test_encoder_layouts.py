"""Published layouts: tiny checkpoints with the very tensor names must give the vectors that their authors' code gives.

For Hugging Face's Dinov2 and for CONCH the expected vectors are computed here from the file's tensors, one matrix
product at a time; for timm and torchvision by those libraries' own networks, built with their authors' arguments.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from encoder_kit import (
    CPU,
    IMAGENET,
    Tensors,
    dinov2_config,
    dinov2_tensors,
    normalised,
    random_like,
    tiles,
    write_folder,
)
from timm.layers import SwiGLUPacked
from torch.nn import functional
from torchvision.models import densenet121

from core.errors import ModelError
from models.encoders.backbones import build_vit
from models.encoders.folders import read_folder
from models.encoders.layouts import translate
from models.encoders.local import local_encoder
from models.encoders.published import PUBLISHED
from models.encoders.shapes import TIMM_SHAPES, Layout, VitShape

SWIGLU = {"mlp_layer": SwiGLUPacked, "act_layer": torch.nn.SiLU}
AUTHORS: dict[str, tuple[str, dict[str, Any]]] = {
    "uni": ("vit_large_patch16_224", {"img_size": 224, "patch_size": 16, "init_values": 1e-5}),
    "uni2-h": (
        "vit_giant_patch14_224",
        {
            "img_size": 224,
            "patch_size": 14,
            "depth": 24,
            "num_heads": 24,
            "init_values": 1e-5,
            "embed_dim": 1536,
            "mlp_ratio": 2.66667 * 2,
            "no_embed_class": True,
            "reg_tokens": 8,
            **SWIGLU,
        },
    ),
    "virchow": ("vit_huge_patch14_224", {"init_values": 1e-5, "mlp_ratio": 5.3375, **SWIGLU}),
    "virchow2": ("vit_huge_patch14_224", {"init_values": 1e-5, "mlp_ratio": 5.3375, "reg_tokens": 4, **SWIGLU}),
    "kaiko-vits16": ("vit_small_patch16_224", {}),
    "kaiko-vits8": ("vit_small_patch8_224", {}),
    "kaiko-vitb16": ("vit_base_patch16_224", {}),
    "kaiko-vitb8": ("vit_base_patch8_224", {}),
}
"""How the authors' own instructions build each encoder with timm."""
TINY = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 32, "num_heads": 4}


def attention(x: torch.Tensor, tensors: Tensors, at: str, *, heads: int) -> torch.Tensor:
    """Multi-head attention from separate query, key and value, head by head."""

    def project(name: str, values: torch.Tensor) -> torch.Tensor:
        return values @ tensors[f"{at}.{name}.weight"].T + tensors[f"{at}.{name}.bias"]

    query, key, value = (project(f"attention.{name}", x) for name in ("query", "key", "value"))
    size = x.shape[-1] // heads
    outputs = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = query[..., part] @ key[..., part].transpose(1, 2) / math.sqrt(size)
        outputs.append(scores.softmax(dim=-1) @ value[..., part])
    return project("output.dense", torch.cat(outputs, dim=-1))


def dinov2_reference(tensors: Tensors, images: torch.Tensor, *, heads: int, swiglu: bool) -> torch.Tensor:
    """Normed tokens of Dinov2Model, straight from its tensors: class token, registers, patches."""

    def norm(x: torch.Tensor, at: str) -> torch.Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        scaled = centred / torch.sqrt(centred.square().mean(dim=-1, keepdim=True) + 1e-6)
        return scaled * tensors[f"{at}.weight"] + tensors[f"{at}.bias"]

    def linear(x: torch.Tensor, at: str) -> torch.Tensor:
        return x @ tensors[f"{at}.weight"].T + tensors[f"{at}.bias"]

    patch = tensors["embeddings.patch_embeddings.projection.weight"]
    side = patch.shape[-1]
    squares = images.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5)
    embedded = squares.reshape(len(images), -1, 3 * side * side) @ patch.reshape(len(patch), -1).T
    embedded = embedded + tensors["embeddings.patch_embeddings.projection.bias"]
    x = torch.cat([tensors["embeddings.cls_token"].expand(len(images), -1, -1), embedded], dim=1)
    x = x + tensors["embeddings.position_embeddings"]
    if "embeddings.register_tokens" in tensors:
        registers = tensors["embeddings.register_tokens"].expand(len(images), -1, -1)
        x = torch.cat([x[:, :1], registers, x[:, 1:]], dim=1)
    for layer in range(sum(name.endswith("norm1.weight") for name in tensors)):
        at = f"encoder.layer.{layer}"
        attended = attention(norm(x, f"{at}.norm1"), tensors, f"{at}.attention", heads=heads)
        x = x + attended * tensors[f"{at}.layer_scale1.lambda1"]
        inner = norm(x, f"{at}.norm2")
        if swiglu:
            gate, value = linear(inner, f"{at}.mlp.weights_in").chunk(2, dim=-1)
            inner = linear(gate * torch.sigmoid(gate) * value, f"{at}.mlp.weights_out")
        else:
            inner = linear(functional.gelu(linear(inner, f"{at}.mlp.fc1")), f"{at}.mlp.fc2")
        x = x + inner * tensors[f"{at}.layer_scale2.lambda1"]
    return norm(x, "layernorm")


@pytest.mark.parametrize(
    ("name", "registers", "swiglu"), [("phikon-v2", 0, False), ("hibou-b", 4, True), ("Hibou-L", 3, False)]
)
def test_dinov2_of_hugging_face_equals_its_tensors_multiplied_out(
    tmp_path: Path, name: str, registers: int, swiglu: bool
) -> None:
    tensors = dinov2_tensors(registers=registers, swiglu=swiglu)
    toml = "[input]\ninput_px = 16\ntile_px = 16\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n"
    folder = write_folder(tmp_path / name, tensors, config=dinov2_config(registers=registers, swiglu=swiglu), toml=toml)
    images = tiles(side=16)
    vectors = local_encoder(read_folder(folder), device=CPU).embed(images)
    batch = normalised(images, **IMAGENET)
    tokens = dinov2_reference(tensors, batch, heads=4, swiglu=swiglu)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, tokens[:, 0], atol=2e-5)
    # The mean is that of the four patches, which stand behind the registers.
    (folder / "encoder.toml").write_text('pooling = "class_and_mean"\n' + toml)
    both = local_encoder(read_folder(folder), device=CPU).embed(images)
    mean = tokens[:, -4:].mean(dim=1)
    np.testing.assert_allclose(both, torch.cat([tokens[:, 0], mean], dim=1), atol=2e-5)
    if registers:
        assert not np.allclose(both[:, vectors.shape[1] :], tokens[:, 1:].mean(dim=1), atol=1e-2)
    # The reference would notice: with query and key exchanged, or key and value, it says something else.
    for one, other in (("query", "key"), ("key", "value")):
        names = {"query": "query", "key": "key", "value": "value"} | {one: other, other: one}
        exchanged = {
            ".".join(names.get(part, part) if "attention.attention" in key else part for part in key.split(".")): value
            for key, value in tensors.items()
        }
        wrong = dinov2_reference(exchanged, batch, heads=4, swiglu=swiglu)[:, 0]
        assert not np.allclose(vectors, wrong, atol=1e-2)


@pytest.mark.parametrize("name", ["uni", "uni2-h", "virchow", "virchow2"])
def test_timm_checkpoints_equal_the_network_their_authors_build(tmp_path: Path, name: str) -> None:
    architecture, arguments = AUTHORS[name]
    oracle = timm.create_model(architecture, num_classes=0, global_pool="", **{**arguments, **TINY}).eval()
    tensors = random_like({key: tuple(value.shape) for key, value in oracle.state_dict().items()})
    oracle.load_state_dict(tensors)
    plain = {key: value for key, value in arguments.items() if key not in SWIGLU}
    config = {"architecture": architecture, "model_args": {**plain, **TINY, "num_classes": 0, "global_pool": ""}}
    toml = "[input]\ninput_px = 32\ntile_px = 32\n"
    images = tiles(side=32)
    encoder = local_encoder(read_folder(write_folder(tmp_path / name, tensors, config=config, toml=toml)), device=CPU)
    with torch.inference_mode():
        tokens = oracle(normalised(images, **IMAGENET))
    expected = tokens[:, 0]
    if name.startswith("virchow"):  # the model cards: patch tokens begin at 1 without and at 5 with four registers
        patches = tokens[:, 5 if name == "virchow2" else 1 :]
        assert patches.shape[1] == 16
        expected = torch.cat([expected, patches.mean(dim=1)], dim=1)
    np.testing.assert_allclose(encoder.embed(images), expected, atol=2e-5)
    assert encoder.embedding_size == (64 if name.startswith("virchow") else 32)


def test_another_image_size_stretches_the_positions_as_timm_does(tmp_path: Path) -> None:
    arguments = {**AUTHORS["uni"][1], **TINY}
    oracle = timm.create_model("vit_large_patch16_224", num_classes=0, dynamic_img_size=True, **arguments).eval()
    tensors = random_like({key: tuple(value.shape) for key, value in oracle.state_dict().items()})
    oracle.load_state_dict(tensors)
    config = {"architecture": "vit_large_patch16_224", "model_args": arguments}
    toml = "[input]\ninput_px = 48\ntile_px = 48\n"
    folder = write_folder(tmp_path / "UNI", tensors, config=config, toml=toml)
    images = tiles(side=48)
    with torch.inference_mode():
        expected = oracle(normalised(images, **IMAGENET))
    np.testing.assert_allclose(local_encoder(read_folder(folder), device=CPU).embed(images), expected, atol=2e-5)


def conch_tensors(trunk: Tensors, *, width: int = 32, size: int = 16) -> Tensors:
    pool = {"query": (1, size), "ln_q.weight": (size,), "ln_q.bias": (size,)}
    pool |= {"ln_k.weight": (width,), "ln_k.bias": (width,), "attn.in_proj_bias": (3 * size,)}
    pool |= {"attn.q_proj_weight": (size, size), "attn.k_proj_weight": (size, width)}
    pool |= {"attn.v_proj_weight": (size, width), "attn.out_proj.weight": (size, size), "attn.out_proj.bias": (size,)}
    shapes = {f"visual.attn_pool_contrast.{key}": shape for key, shape in pool.items()}
    shapes |= {"visual.ln_contrast.weight": (size,), "visual.ln_contrast.bias": (size,)}
    other = {"visual.proj_contrast": (size, size), "visual.attn_pool_caption.query": (4, width), "logit_scale": (1,)}
    other |= {"visual.ln_caption.weight": (width,), "text.ln_final.weight": (8,), "text_decoder.ln.weight": (8,)}
    named = {f"visual.trunk.{key}": value for key, value in trunk.items()}
    return named | random_like({**shapes, **other}, seed=1)


def conch_reference(tensors: Tensors, tokens: torch.Tensor, *, heads: int) -> torch.Tensor:
    """The attentional pooler from its tensors: one query, head by head, then the norm; no projection, no scaling."""
    at = "visual.attn_pool_contrast"
    size = tensors[f"{at}.query"].shape[1]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[-1:], tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    biases = tensors[f"{at}.attn.in_proj_bias"].split(size)
    query = norm(tensors[f"{at}.query"], f"{at}.ln_q") @ tensors[f"{at}.attn.q_proj_weight"].T + biases[0]
    context = norm(tokens, f"{at}.ln_k")
    key = context @ tensors[f"{at}.attn.k_proj_weight"].T + biases[1]
    value = context @ tensors[f"{at}.attn.v_proj_weight"].T + biases[2]
    step = size // heads
    parts = []
    for start in range(0, size, step):
        part = slice(start, start + step)
        weights = (query[None, :, part] @ key[..., part].transpose(1, 2) / math.sqrt(step)).softmax(dim=-1)
        parts.append(weights @ value[..., part])
    pooled = torch.cat(parts, dim=-1)[:, 0]
    pooled = pooled @ tensors[f"{at}.attn.out_proj.weight"].T + tensors[f"{at}.attn.out_proj.bias"]
    return norm(pooled, "visual.ln_contrast")


def test_conch_equals_its_pooler_multiplied_out_and_leaves_the_text_tower_alone(tmp_path: Path) -> None:
    oracle = timm.create_model("vit_base_patch16_224", num_classes=0, **TINY).eval()
    trunk = random_like({key: tuple(value.shape) for key, value in oracle.state_dict().items()})
    oracle.load_state_dict(trunk)
    tensors = conch_tensors(trunk)
    shape = "\n".join(f"{key} = {value}" for key, value in TINY.items())
    toml = f"[shape]\n{shape}\n[pooler]\nembed_dim = 16\nheads = 8\n[input]\ninput_px = 32\ntile_px = 32\n"
    images = tiles(side=32)
    encoder = local_encoder(read_folder(write_folder(tmp_path / "CONCH", tensors, toml=toml)), device=CPU)
    with torch.inference_mode():
        expected = conch_reference(tensors, oracle.forward_features(normalised(images, **IMAGENET)), heads=8)
    np.testing.assert_allclose(encoder.embed(images), expected, atol=2e-5)


@pytest.mark.parametrize("prefix", ["module.model.0.", "features."])
def test_kimianet_is_densenet_without_the_last_relu(tmp_path: Path, prefix: str) -> None:
    oracle = densenet121(weights=None).eval()
    tensors = {f"{prefix}{key}": value for key, value in oracle.features.state_dict().items()}
    tensors |= random_like({"module.fc_4.weight" if prefix[0] == "m" else "classifier.weight": (30, 1024)})
    toml = "[input]\ninput_px = 64\ntile_px = 64\n"
    folder = read_folder(write_folder(tmp_path / "KimiaNet", tensors, toml=toml, weights="kimianet.safetensors"))
    images = tiles(side=64)
    encoder = local_encoder(folder, device=CPU)
    with torch.inference_mode():
        expected = oracle.features(normalised(images, **IMAGENET)).mean(dim=(2, 3))
    np.testing.assert_allclose(encoder.embed(images), expected, atol=1e-5)
    assert encoder.embedding_size == 1024


@pytest.mark.parametrize("name", AUTHORS)
def test_published_shapes_ask_for_the_tensors_of_the_authors_network(name: str) -> None:
    architecture, arguments = AUTHORS[name]
    shape = PUBLISHED[name].shape
    assert shape is not None
    with torch.device("meta"):
        ours, theirs = build_vit(shape), timm.create_model(architecture, num_classes=0, **arguments)
    assert shapes_of(ours) == shapes_of(theirs)


@pytest.mark.parametrize("name", TIMM_SHAPES)
def test_architecture_names_mean_what_they_mean_to_timm(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = build_vit(TIMM_SHAPES[name]), timm.create_model(name, num_classes=0)
    assert shapes_of(ours) == shapes_of(theirs)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("uni", 303), ("uni2-h", 681), ("virchow", 631), ("virchow2", 631), ("phikon-v2", 303), ("hibou-b", 86)],
)
def test_published_shapes_have_the_published_number_of_weights(name: str, millions: int) -> None:
    shape = PUBLISHED[name].shape
    assert shape is not None
    with torch.device("meta"):
        count = sum(tensor.numel() for tensor in build_vit(shape).parameters())
    assert round(count / 1e6) == pytest.approx(millions, abs=1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_embedding_sizes_follow_from_the_shapes(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    described = read_folder(folder)
    assert described.embedding_size == PUBLISHED[name].embedding_size
    assert described.licence == PUBLISHED[name].licence
    assert described.input.mpp == 0.5


def test_register_layout_gives_the_class_token_its_position_once() -> None:
    tensors = dinov2_tensors(registers=2, depth=1)
    shape = VitShape(
        img_size=16,
        patch_size=8,
        embed_dim=24,
        depth=1,
        num_heads=4,
        init_values=1.0,
        reg_tokens=2,
        no_embed_class=True,
    )
    found = translate(
        tensors, layout=Layout.DINOV2, wanted=build_vit(shape).state_dict(), registers=True, source="a.safetensors"
    )
    position = tensors["embeddings.position_embeddings"]
    assert torch.equal(found["cls_token"], tensors["embeddings.cls_token"] + position[:, :1])
    assert torch.equal(found["pos_embed"], position[:, 1:])
    assert torch.equal(found["reg_token"], tensors["embeddings.register_tokens"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda t: t.pop("encoder.layer.1.attention.attention.key.bias"),
            r"missing encoder\.layer\.1\.attention\.attention\.key\.bias",
        ),
        (
            lambda t: t.update({"encoder.layer.2.norm1.bias": torch.ones(24)}),
            r"unexpected encoder\.layer\.2\.norm1\.bias",
        ),
        (
            lambda t: t.update({"encoder.layer.0.attention.attention.value.weight": torch.ones(24, 12)}),
            r"wrong shape encoder\.layer\.0\.attention\.attention\.value\.weight \(24, 12\) instead of \(24, 24\)",
        ),
        (
            lambda t: t.update({"embeddings.position_embeddings": torch.ones(1, 257, 24)}),
            r"embeddings\.position_embeddings \(1, 257, 24\) instead of \(1, 5, 24\)",
        ),
    ],
)
@pytest.mark.parametrize("registers", [0, 4])
def test_wrong_tensors_are_refused_by_the_name_the_file_gives_them(
    tmp_path: Path, registers: int, change: Any, sentence: str
) -> None:
    tensors = dinov2_tensors(registers=registers)
    change(tensors)
    toml = "[input]\ninput_px = 16\ntile_px = 16\n"
    folder = write_folder(tmp_path / "phikon-v2", tensors, config=dinov2_config(registers=registers), toml=toml)
    with pytest.raises(ModelError, match=sentence):
        local_encoder(read_folder(folder), device=CPU)


@pytest.mark.parametrize(("registers", "swiglu"), [(0, False), (3, True)])
def test_any_tensor_of_any_other_shape_is_named_and_nothing_else_happens(*, registers: int, swiglu: bool) -> None:
    tensors = dinov2_tensors(registers=registers, swiglu=swiglu, depth=1)
    plain = VitShape(img_size=16, patch_size=8, embed_dim=24, depth=1, num_heads=4, init_values=1.0, swiglu=swiglu)
    shape = replace(plain, mlp_ratio=128 / 24) if swiglu else plain
    wanted = build_vit(replace(shape, reg_tokens=registers, no_embed_class=registers > 0)).state_dict()
    ask = partial(
        translate, layout=Layout.DINOV2, wanted=wanted, swiglu=swiglu, registers=registers > 0, source="a.safetensors"
    )
    assert len(ask(tensors)) == len(wanted)
    for name, tensor in tensors.items():
        if name == "embeddings.mask_token":
            continue
        for wrong in (tensor[..., :-1], tensor[None], tensor.sum(), tensor.repeat(2, *[1] * (tensor.ndim - 1))):
            with pytest.raises(ModelError, match=re.escape(f"wrong shape {name} {tuple(wrong.shape)} instead of")):
                ask(tensors | {name: wrong})
        with pytest.raises(ModelError, match=f"missing {re.escape(name)}"):
            ask({key: value for key, value in tensors.items() if key != name})


def test_a_checkpoint_of_another_layout_is_refused_by_name(tmp_path: Path) -> None:
    toml = 'layout = "timm"\n[shape]\nimg_size = 16\npatch_size = 8\nembed_dim = 24\ndepth = 2\nnum_heads = 4\n'
    toml += "[input]\ninput_px = 16\ntile_px = 16\n"
    folder = write_folder(tmp_path / "mine", dinov2_tensors(), toml=toml)
    with pytest.raises(ModelError, match=r"missing cls_token.*unexpected embeddings\.cls_token"):
        local_encoder(read_folder(folder), device=CPU)


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

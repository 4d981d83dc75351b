from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from core.domain import Stain
from core.errors import ModelError, NotFoundError
from models.cards import SHIPPED, Member, ModelCard, list_cards, load_card, read_card, sha256_of_file, write_card
from models.networks import build_network
from models.registry import load_model, save_weights


def a_member(**changes: object) -> Member:
    member = Member(
        architecture="resnet18",
        input_px=64,
        weights="toy.safetensors",
        sha256="0" * 64,
        temperature=1.25,
        mean_255=(207.0, 162.0, 187.0),
        std_255=(37.0, 55.0, 40.0),
    )
    return dataclasses.replace(member, **changes)


def a_card(*members: Member, **changes: object) -> ModelCard:
    card = ModelCard(
        name="toy",
        title='A "toy"',
        target="Nothing; µm and \\ survive writing.",
        positive_classes=("yes",),
        positive_title="yes",
        normal_class="no",
        classes=("no", "yes"),
        tissue="breast",
        stain=(Stain.HE, Stain.IHC),
        for_slides=True,
        for_slides_note="",
        mpp=4.0,
        mpp_note="made up",
        tile_um=200.0,
        tile_px=50,
        isometries=1,
        threshold=0.4,
        slide_threshold=0.6,
        slide_threshold_note="Made up.",
        data="none",
        licence_of_data="CC0",
        split="none",
        training="none",
        limits=("one", "two"),
        created="2026-01-01",
        members=members or (a_member(),),
        metrics={"test": {"auc": {"value": 0.9, "low": 0.85, "high": 0.95}}},
    )
    return dataclasses.replace(card, **changes)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("models")
    digest = save_weights(build_network("resnet18", classes=2).state_dict(), made / "weights" / "toy.safetensors")
    write_card(a_card(a_member(sha256=digest)), made / "cards" / "toy.toml")
    return made


@pytest.fixture
def root(made_once: Path, tmp_path: Path) -> Path:
    """A registry root with one model of random weights."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_written_card_reads_back_equal(tmp_path: Path) -> None:
    write_card(a_card(), tmp_path / "toy.toml")
    assert read_card(tmp_path / "toy.toml") == a_card()


def test_a_model_is_loaded_as_its_card_says(root: Path) -> None:
    model = load_model("toy", device="cpu", root=root)
    assert (model.name, model.classes, model.tile_px, model.mpp) == ("toy", ("no", "yes"), 50, 4.0)
    assert [card.name for card in list_cards(root=root)] == ["toy"]


def test_altered_weights_are_refused(root: Path) -> None:
    path = root / "weights" / "toy.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not those of the card"):
        load_model("toy", root=root)


def test_missing_weights_are_refused(root: Path) -> None:
    (root / "weights" / "toy.safetensors").unlink()
    with pytest.raises(ModelError, match="missing"):
        load_model("toy", root=root)


def test_a_pickle_is_refused_even_with_the_right_hash_and_told_how_to_convert(root: Path) -> None:
    path = root / "weights" / "toy.safetensors"
    torch.save(build_network("resnet18", classes=2).state_dict(), path)
    write_card(a_card(a_member(sha256=sha256_of_file(path))), root / "cards" / "toy.toml")
    with pytest.raises(ModelError, match=r"pickle.*convert-weights toy.safetensors toy-new.safetensors"):
        load_model("toy", root=root)


def test_bytes_that_are_no_weights_are_refused(root: Path) -> None:
    path = root / "weights" / "toy.safetensors"
    path.write_bytes(b"no weights at all")
    write_card(a_card(a_member(sha256=sha256_of_file(path))), root / "cards" / "toy.toml")
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_model("toy", root=root)


def test_weights_of_another_shape_are_refused_by_name(root: Path) -> None:
    digest = save_weights(build_network("resnet18", classes=3).state_dict(), root / "weights" / "toy.safetensors")
    write_card(a_card(a_member(sha256=digest)), root / "cards" / "toy.toml")
    with pytest.raises(ModelError, match=re.escape("fc.weight (3, 512) instead of (2, 512)")):
        load_model("toy", root=root)


def test_missing_and_unexpected_tensors_are_named(root: Path) -> None:
    weights = build_network("resnet18", classes=2).state_dict()
    weights["head.weight"] = weights.pop("fc.weight")
    digest = save_weights(weights, root / "weights" / "toy.safetensors")
    write_card(a_card(a_member(sha256=digest)), root / "cards" / "toy.toml")
    with pytest.raises(ModelError, match=r"missing fc\.weight; unexpected head\.weight\."):
        load_model("toy", root=root)


def test_weights_of_another_architecture_name_some_and_count_the_rest(root: Path) -> None:
    digest = save_weights(build_network("alexnet", classes=2).state_dict(), root / "weights" / "toy.safetensors")
    write_card(a_card(a_member(sha256=digest)), root / "cards" / "toy.toml")
    with pytest.raises(ModelError, match=r"missing conv1\.weight.* and 116 more; unexpected classifier.* and 10 more"):
        load_model("toy", root=root)


def test_an_input_too_small_for_the_architecture_is_refused(root: Path) -> None:
    digest = save_weights(build_network("alexnet", classes=2).state_dict(), root / "weights" / "toy.safetensors")
    write_card(a_card(a_member(architecture="alexnet", input_px=50, sha256=digest)), root / "cards" / "toy.toml")
    with pytest.raises(ModelError, match="63"):
        load_model("toy", root=root)


def test_every_member_is_checked(root: Path) -> None:
    """One altered byte in the second network is found, and the ensemble's digest covers both."""
    torch.manual_seed(1)
    second = root / "weights" / "second.safetensors"
    digest = save_weights(build_network("mobilenet_v3_small", classes=2).state_dict(), second)
    first = load_card("toy", root=root).members[0]
    member = a_member(architecture="mobilenet_v3_small", weights="second.safetensors", sha256=digest)
    card = a_card(first, member)
    write_card(card, root / "cards" / "toy.toml")
    assert load_card("toy", root=root).weights_sha256 == hashlib.sha256((first.sha256 + digest).encode()).hexdigest()
    assert card.weights_sha256 != dataclasses.replace(card, members=(member, first)).weights_sha256
    tile = np.full((1, 50, 50, 3), 128, np.uint8)
    assert load_model("toy", device="cpu", root=root).predict_and_embed(tile)[1].shape == (1, 512 + 1024)
    content = bytearray(second.read_bytes())
    content[-1] ^= 1
    second.write_bytes(content)
    with pytest.raises(ModelError, match=r"second\.safetensors are not those of the card"):
        load_model("toy", root=root)


def test_a_model_of_one_network_has_its_digest(root: Path) -> None:
    card = load_card("toy", root=root)
    assert card.weights_sha256 == card.members[0].sha256


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"positive_classes": ("maybe",)}, "positive_classes must be among classes"),
        ({"positive_classes": ()}, "at least one|must not be empty"),
        ({"positive_classes": ("yes", "yes")}, "positive_classes must be distinct"),
        ({"normal_class": "yes"}, "normal_class"),
        ({"classes": ("yes", "yes")}, "classes must be distinct"),
        ({"classes": ("yes",)}, "at least two"),
        ({"stain": ()}, "stain"),
        ({"tissue": ""}, "tissue must not be empty"),
        ({"mpp": 0.0, "tile_um": 0.0}, "mpp must be positive"),
        ({"mpp": float("nan")}, "mpp must be positive"),
        ({"tile_px": 64}, "tile_um"),
        ({"isometries": 3}, "isometries"),
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"slide_threshold": 1.0}, "between 0 and 1"),
        ({"for_slides": False}, "for_slides_note"),
        ({"limits": ()}, "limits must not be empty"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        a_card(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": "toy.pt"}, "pickle"),
        ({"weights": "../toy.safetensors"}, "without a folder"),
        ({"sha256": "abc"}, "64"),
        ({"sha256": "A" * 64}, "lower case"),
        ({"temperature": -1.0}, "temperature"),
        ({"std_255": (0.0, 1.0, 1.0)}, "std_255"),
        ({"mean_255": (-1.0, 1.0, 1.0)}, "mean_255"),
        ({"input_px": 0}, "input_px"),
        ({"architecture": ""}, "architecture"),
    ],
)
def test_a_member_that_contradicts_itself_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        a_member(**changes)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('tissue = "breast"\n', "", "tissue is missing"),
        ('tissue = "breast"\n', 'tissue = "breast"\ncolour = "red"\n', "colour is not known"),
        ("mpp = 4.0\n", 'mpp = "four"\n', "mpp must be a number, not 'four'"),
        ("isometries = 1\n", "isometries = true\n", "isometries must be a whole number"),
        ("isometries = 1\n", "isometries = 1.0\n", "isometries must be a whole number"),
        ("for_slides = true\n", "for_slides = 1\n", "for_slides must be true or false"),
        ('"he"', '"purple"', r"stain\[1\] must be one of he, ihc"),
        ('classes = ["no", "yes"]', 'classes = ["no", 2]', r"classes\[2\] must be a text"),
        ("std_255 = [37.0, 55.0, 40.0]", "std_255 = [37.0, 55.0]", "three numbers, not 2"),
        ("input_px = 64\n", "", r"members\[1\]\.input_px is missing"),
        ("value = 0.9,", 'value = "high",', r"metrics\.test\.auc\.value must be a number"),
        ("mpp = 4.0\n", "mpp =\n", "cannot be read"),
    ],
)
def test_a_card_file_with_a_mistake_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "toy.toml"
    write_card(a_card(), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelError, match=said):
        read_card(path)


def test_every_mistake_of_a_card_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    write_card(a_card(), path)
    text = path.read_text()
    for old, new in (
        ('tissue = "breast"\n', ""),
        ("threshold = 0.4\n", "threshold = 4.0\n"),
        ('positive_classes = ["yes"]', 'positive_classes = ["perhaps"]'),
        ("mpp = 4.0\n", 'mpp = "four"\n'),
        ("temperature = 1.25", "temperature = 0.0"),
        ('weights = "toy.safetensors"', 'weights = "toy.pth"'),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text + "odd = 1\n")
    with pytest.raises(ModelError) as caught:
        read_card(path)
    for said in (
        "tissue is missing",
        "threshold must lie between 0 and 1",
        "positive_classes must be among classes",
        "mpp must be a number",
        "members[1]: temperature must be positive",
        "members[1]: weights must be .safetensors",
        "metrics.test.odd",
    ):
        assert said in str(caught.value), said


def test_the_probability_of_several_targets_is_their_sum() -> None:
    card = a_card(classes=("no", "adeno", "squamous"), positive_classes=("adeno", "squamous"))
    found = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [0.0, 0.25, 0.75]], np.float32)
    np.testing.assert_allclose(card.target_probability(found), [0.8, 0.0, 1.0], atol=1e-6)
    assert (card.positive_class, card.positive_indices) == ("adeno", (1, 2))
    assert a_card().target_probability(found[:, :2]).tolist() == found[:, 1].tolist()


def test_a_card_of_several_networks_and_targets_reads_back_equal(tmp_path: Path) -> None:
    card = a_card(
        a_member(),
        a_member(architecture="efficientnet_lite0", weights="other.safetensors", sha256="ab" * 32, input_px=96),
        classes=("no", "adeno", "squamous"),
        positive_classes=("adeno", "squamous"),
        isometries=8,
        for_slides=False,
        for_slides_note="Nobody knows the scale.",
        metrics={},
    )
    write_card(card, tmp_path / "toy.toml")
    assert read_card(tmp_path / "toy.toml") == card


def test_a_card_under_another_file_name_is_refused(root: Path) -> None:
    (root / "cards" / "toy.toml").rename(root / "cards" / "other.toml")
    with pytest.raises(ModelError, match="calls itself 'toy'"):
        load_card("other", root=root)


@pytest.mark.parametrize("name", ["nothing", "../cards/toy"])
def test_an_unknown_model_is_refused_with_the_known_ones(root: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match="known are: toy"):
        load_card(name, root=root)


def test_every_shipped_card_names_weights_that_are_there_unaltered() -> None:
    cards = list_cards()
    assert "idc" in {card.name for card in cards}
    for card in cards:
        for member in card.members:
            content = (SHIPPED / "weights" / member.weights).read_bytes()
            assert hashlib.sha256(content).hexdigest() == member.sha256


def test_the_idc_card_says_what_users_must_know() -> None:
    card = load_card("idc")
    assert card.stain == (Stain.HE,)
    assert card.tissue == "breast"
    assert (card.mpp, card.tile_um, card.tile_px) == (4.0, 200.0, 50)
    assert "nferred" in card.mpp_note
    assert "not mean that there is no cancer" in card.target
    assert "CC0" in card.licence_of_data

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch

from core.domain import Stain
from core.errors import ModelError, NotFoundError
from models.cards import SHIPPED, ModelCard, list_cards, load_card, read_card, sha256_of_file, write_card
from models.networks import build_network
from models.registry import load_model, save_weights


def a_card(**changes: object) -> ModelCard:
    card = ModelCard(
        name="toy",
        title='A "toy"',
        target="Nothing; µm and \\ survive writing.",
        positive_class="yes",
        positive_title="yes",
        normal_class="no",
        slide_threshold=0.6,
        slide_threshold_note="Made up.",
        classes=("no", "yes"),
        tissue="breast",
        stain=(Stain.HE, Stain.IHC),
        mpp=4.0,
        mpp_note="made up",
        tile_um=200.0,
        tile_px=50,
        input_px=64,
        architecture="resnet18",
        weights="toy.safetensors",
        weights_sha256="0" * 64,
        temperature=1.25,
        threshold=0.4,
        mean_255=(207.0, 162.0, 187.0),
        std_255=(37.0, 55.0, 40.0),
        data="none",
        licence_of_data="CC0",
        split="none",
        training="none",
        metrics={"test": {"auc": {"value": 0.9, "low": 0.85, "high": 0.95}}},
        limits=("one", "two"),
        created="2026-01-01",
    )
    return dataclasses.replace(card, **changes)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A registry root with one model of random weights."""
    torch.manual_seed(0)
    digest = save_weights(build_network("resnet18", classes=2).state_dict(), tmp_path / "weights" / "toy.safetensors")
    write_card(a_card(weights_sha256=digest), tmp_path / "cards" / "toy.toml")
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


def test_a_pickle_is_refused_even_with_the_right_hash(root: Path) -> None:
    path = root / "weights" / "toy.safetensors"
    torch.save(build_network("resnet18", classes=2).state_dict(), path)
    write_card(a_card(weights_sha256=sha256_of_file(path)), root / "cards" / "toy.toml")
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_model("toy", root=root)


def test_weights_of_another_shape_are_refused(root: Path) -> None:
    digest = save_weights(build_network("resnet18", classes=3).state_dict(), root / "weights" / "toy.safetensors")
    write_card(a_card(weights_sha256=digest), root / "cards" / "toy.toml")
    with pytest.raises(ModelError, match="do not fit"):
        load_model("toy", root=root)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": "toy.pt"}, "pickle"),
        ({"weights": "../toy.safetensors"}, "without a folder"),
        ({"weights_sha256": "abc"}, "64"),
        ({"positive_class": "maybe"}, "positive_class"),
        ({"classes": ("yes", "yes")}, "distinct"),
        ({"stain": ()}, "stain"),
        ({"mpp": 0.0, "tile_um": 0.0}, "positive"),
        ({"temperature": -1.0}, "positive"),
        ({"tile_px": 64}, "tile_um"),
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"limits": ()}, "texts"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        a_card(**changes)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('tissue = "breast"\n', "", "tissue"),
        ('tissue = "breast"\n', 'tissue = "breast"\ncolour = "red"\n', "colour"),
        ("mpp = 4.0\n", 'mpp = "four"\n', "wrong kind"),
        ('"he"', '"purple"', "wrong kind"),
        ("mpp = 4.0\n", "mpp =\n", "cannot be read"),
    ],
    ids=["missing field", "unknown field", "wrong type", "unknown stain", "no TOML"],
)
def test_a_card_file_with_a_mistake_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "toy.toml"
    write_card(a_card(), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelError, match=said):
        read_card(path)


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
        content = (SHIPPED / "weights" / card.weights).read_bytes()
        assert hashlib.sha256(content).hexdigest() == card.weights_sha256


def test_the_idc_card_says_what_users_must_know() -> None:
    card = load_card("idc")
    assert card.stain == (Stain.HE,)
    assert card.tissue == "breast"
    assert (card.mpp, card.tile_um, card.tile_px) == (4.0, 200.0, 50)
    assert "nferred" in card.mpp_note
    assert "not mean that there is no cancer" in card.target
    assert "CC0" in card.licence_of_data

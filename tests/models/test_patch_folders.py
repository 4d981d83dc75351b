"""Patches read from folders: layouts, groups, hashes, and files that are no patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from models.data.patches import read_class_groups, read_idc, read_patches


def write_patch(root: Path, *, patient: str, label: int, x: int, height: int = 50) -> None:
    random = np.random.default_rng([int(patient), label, x])
    image = random.normal((200, 120)[label], 30, (height, 50, 3)).clip(0, 255).astype(np.uint8)
    folder = root / patient / str(label)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / f"{patient}_idx5_x{x}_y1_class{label}.png")


def test_patches_carry_patient_and_label_and_small_ones_are_padded_with_white(tmp_path: Path) -> None:
    write_patch(tmp_path, patient="8", label=1, x=1, height=7)
    write_patch(tmp_path, patient="9", label=0, x=1)
    found = read_idc(tmp_path, classes=("no", "yes"))
    assert found.groups == ("8", "9")
    assert found.labels.tolist() == [1, 0]
    assert found.images.shape == (2, 50, 50, 3)
    assert (found.images[0, 7:] == 255).all()
    assert found.images[0, :7].mean() < 150
    only = found.select(found.of_groups(["9"]))
    assert (only.groups, only.labels.tolist()) == (("9",), [0])


def test_the_data_hash_changes_with_a_pixel_and_with_a_name(tmp_path: Path) -> None:
    write_patch(tmp_path, patient="8", label=1, x=1)
    first = read_idc(tmp_path, classes=("no", "yes")).sha256
    path = tmp_path / "8" / "1" / "8_idx5_x1_y1_class1.png"
    renamed = path.rename(path.with_name("8_idx5_x51_y1_class1.png"))
    second = read_idc(tmp_path, classes=("no", "yes")).sha256
    Image.new("RGB", (50, 50)).save(renamed)
    assert len({first, second, read_idc(tmp_path, classes=("no", "yes")).sha256}) == 3


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("8/1/7_idx5_x1_y1_class1.png", 50, "not named"),
        ("8/1/8_idx5_x1_y1_class0.png", 50, "not named"),
        ("8/1/8_idx5_x1_y1_class1.png", 64, "64 x 64"),
        ("8/1/8_idx5_x1_y1_class1.png", 0, "as an image"),
        ("8/readme.txt", 0, "no patches"),
    ],
    ids=["other patient", "other label", "too large", "broken", "empty"],
)
def test_files_that_are_no_such_patches_are_refused(tmp_path: Path, name: str, size: int, said: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    if size:
        Image.new("RGB", (size, size)).save(path)
    else:
        path.write_bytes(b"not an image")
    with pytest.raises(InputError, match=said):
        read_idc(tmp_path, classes=("no", "yes"))


def write_classes(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(root / name)


def test_files_of_class_folders_are_groups_of_their_own_and_that_is_said(tmp_path: Path) -> None:
    write_classes(tmp_path, "benign/a.png", "benign/b.jpg", "tumour/a.png", "tumour/notes/c.png")
    (tmp_path / "benign" / "readme.txt").write_text("no patch")
    found = read_patches(tmp_path, layout="class_folders", classes=("benign", "tumour"), tile_px=8)
    assert found.groups == ("benign/a.png", "benign/b.jpg", "tumour/a.png")
    assert found.labels.tolist() == [0, 0, 1]
    assert "every file counts as a patient of its own" in found.warnings[0]
    assert found.select(found.labels == 0).warnings == found.warnings


def test_groups_of_class_folders_come_from_a_table(tmp_path: Path) -> None:
    write_classes(tmp_path, "benign/a.png", "tumour/a.png")
    table = tmp_path / "groups.csv"
    table.write_text("file,group\nbenign/a.png,p1\ntumour/a.png,p1\nbenign/old.png,p2\n")
    found = read_patches(tmp_path, layout="class_folders", classes=("benign", "tumour"), tile_px=8, groups=table)
    assert (found.groups, found.warnings) == (("p1", "p1"), ())
    for content, said in (
        ("file,group\nbenign/a.png,p1\n", "no group for 1 files: tumour/a.png"),
        ("file,group\nbenign/a.png,p1\nbenign/a.png,p2\n", "Line 3"),
        ("file,patient\nbenign/a.png,p1\n", "Line 2"),
    ):
        table.write_text(content)
        with pytest.raises(InputError, match=said):
            read_patches(tmp_path, layout="class_folders", classes=("benign", "tumour"), tile_px=8, groups=table)


@pytest.mark.parametrize("layout", ["class_folders", "class_group"])
def test_a_class_without_patches_is_refused_by_name(tmp_path: Path, layout: str) -> None:
    write_classes(tmp_path, "benign/a.png", "benign/g/a.png")
    (tmp_path / "tumour").mkdir()
    with pytest.raises(InputError, match="tumour holds no patches"):
        read_patches(tmp_path, layout=layout, classes=("benign", "tumour"), tile_px=8)


def test_class_folders_keep_groups_of_different_classes_apart(tmp_path: Path) -> None:
    for name in ("benign", "tumour"):
        (tmp_path / name / "1").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1" / "a.jpg")
    found = read_class_groups(tmp_path, classes=("benign", "tumour"), tile_px=8)
    assert found.groups == ("benign/1", "tumour/1")
    assert "groups of the same name (1, ...)" in found.warnings[0]
    assert found.labels.tolist() == [0, 1]
    with pytest.raises(InputError, match="stroma"):
        read_class_groups(tmp_path, classes=("stroma",), tile_px=8)


def test_groups_of_different_names_are_not_warned_about(tmp_path: Path) -> None:
    write_classes(tmp_path, "benign/g1/a.png", "tumour/g2/a.png")
    assert read_patches(tmp_path, layout="class_group", classes=("benign", "tumour"), tile_px=8).warnings == ()

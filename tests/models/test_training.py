from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ConflictError, InputError
from models.data.patches import read_class_groups, read_idc
from models.data.splits import read_split
from models.registry import load_model
from models.training.checkpoint import EpochRecord
from models.training.config import read_config
from models.training.progress import Moment
from models.training.run import train, train_from_config

PATIENTS = 15
TOY = """
name = "toy"
data = "patches"
split = "split.csv"
output = "run"
classes = ["pale", "dark"]
positive_classes = ["dark"]
mpp = 4.0
tile_px = 50
input_px = 32
architecture = "mobilenet_v3_small"
seed = 3
epochs = 2
batch_size = 16
bootstrap_draws = 20

[card]
title = "Toy"
target = "dark patches"
positive_title = "darkness"
normal_class = "pale"
tissue = "none"
stain = ["he"]
mpp_note = "made up"
data = "generated"
licence_of_data = "none needed"
limits = ["a toy"]
"""


def write_patch(root: Path, *, patient: str, label: int, x: int, height: int = 50) -> None:
    random = np.random.default_rng([int(patient), label, x])
    image = random.normal((200, 120)[label], 30, (height, 50, 3)).clip(0, 255).astype(np.uint8)
    folder = root / patient / str(label)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / f"{patient}_idx5_x{x}_y1_class{label}.png")


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pale or dark patches of each of 15 patients."""
    root = tmp_path_factory.mktemp("idc")
    for patient in range(PATIENTS):
        for x in range(6):
            write_patch(root, patient=str(100 + patient), label=x % 2, x=1 + 50 * x)
    return root


@pytest.fixture
def config_path(tmp_path: Path, patches: Path) -> Path:
    (tmp_path / "patches").symlink_to(patches)
    path = tmp_path / "toy.toml"
    path.write_text(TOY)
    return path


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_a_usable_model_with_its_card_log_and_record(config_path: Path) -> None:
    told: list[Moment] = []
    result = train_from_config(config_path, progress=told.append)
    warned, told = told[:2], told[2:]
    assert [news.sentence.split(":")[0] for news in warned] == ["Warning"] * 2
    steps = (0, *range(1, 4), 0, *range(1, 4), 0)  # 54 patches in batches of about 16
    assert [(news.epoch, news.step) for news in told] == list(zip((0,) * 4 + (1,) * 4 + (2,), steps, strict=True))
    assert {(news.epochs, news.steps) for news in told} == {(2, 3)}
    assert [bool(news.sentence) for news in told] == [step == 0 for step in steps]
    assert "validation AUC" in told[-1].sentence

    split = read_split(config_path.parent / "split.csv")
    assert (len(split.train), len(split.validation), len(split.test)) == (9, 3, 3)
    assert "9 to train, 3 to select and calibrate, 3 to measure" in result.card.split

    log = log_of(result.output)
    assert list(log[0]) == ["member", *(field.name for field in dataclasses.fields(EpochRecord))]
    assert [row["epoch"] for row in log] == ["1", "2"]
    record = json.loads((result.output / "run.json").read_text())
    assert record["weights_sha256"] == result.card.weights_sha256
    assert len(record["data_sha256"]) == 64
    assert record["config"]["seed"] == 3

    test = result.card.metrics["test"]
    assert test["auc"]["low"] <= test["auc"]["value"] <= test["auc"]["high"]
    assert result.card.metrics["test_darkness"]["auc"]["value"] == 1  # darkness is all that there is in these patches
    model = load_model("toy", device="cpu", root=result.output)
    assert model.predict(np.full((2, 50, 50, 3), 255, np.uint8)).shape == (2, 2)


class PowerCutError(Exception):
    """Stands for a kill between two epochs."""


def test_a_killed_run_goes_on_where_it_was_and_ends_as_if_never_killed(config_path: Path, tmp_path: Path) -> None:
    def cut(moment: Moment) -> None:
        if moment.epoch == 1:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train_from_config(config_path, progress=cut)
    with pytest.raises(ConflictError, match="already holds a run"):
        train_from_config(config_path)
    resumed = train_from_config(config_path, resume=True)
    assert resumed.epochs_run == 2

    straight = train(dataclasses.replace(read_config(config_path), output=tmp_path / "straight"))
    first, second = log_of(resumed.output), log_of(straight.output)
    for name in ("train_loss", "loss", "auc"):
        assert [float(row[name]) for row in first] == pytest.approx([float(row[name]) for row in second], abs=1e-3)


def test_a_checkpoint_of_another_run_is_not_continued(config_path: Path) -> None:
    config = dataclasses.replace(read_config(config_path), epochs=1, evaluate_test=False)
    result = train(config)
    assert set(result.card.metrics) == {"validation", "validation_darkness", "validation_gain_over_darkness"}
    with pytest.raises(ConflictError, match="another configuration"):
        train(dataclasses.replace(config, learning_rate=0.5), resume=True)


def test_training_stops_when_nothing_gets_better(config_path: Path) -> None:
    result = train(dataclasses.replace(read_config(config_path), epochs=12, patience=1, evaluate_test=False))
    values = [float(row["auc"]) for row in log_of(result.output)]
    assert result.epochs_run == len(values) < 12  # an AUC cannot rise for ever
    assert result.best_epoch == len(values) - 1
    assert result.criterion_value == max(values) == values[-2]


def test_a_leaking_split_is_refused_with_the_patient(config_path: Path) -> None:
    rows = [(100 + patient, ("train", "validation", "test")[patient % 3]) for patient in range(PATIENTS)]
    lines = [f"{patient},{part}\n" for patient, part in [*rows, (103, "test")]]
    (config_path.parent / "split.csv").write_text("group,part\n" + "".join(lines))
    with pytest.raises(InputError, match=r"103 \(train and test\)"):
        train_from_config(config_path)
    assert not (config_path.parent / "run").exists()


def test_a_split_that_forgets_a_patient_is_refused(config_path: Path) -> None:
    lines = [f"{100 + patient},{('train', 'validation', 'test')[patient % 3]}\n" for patient in range(PATIENTS - 1)]
    (config_path.parent / "split.csv").write_text("group,part\n" + "".join(lines))
    with pytest.raises(InputError, match="114"):
        train_from_config(config_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 3", "sead = 3", "unknown key sead"),
        ("mpp = 4.0", "", "mpp"),
        ("epochs = 2", "epochs = 0", "epochs is 0"),
        ("epochs = 2", 'criterion = "accuracy"', "criterion is 'accuracy'"),
        ("epochs = 2", 'epochs = "two"', "epochs is 'two'"),
        ('positive_classes = ["dark"]', 'positive_classes = ["darkest"]', "positive_classes"),
        ("epochs = 2", "epochs = ", "not valid TOML"),
        ("[card]", "[augmentation]\nflip = 1\n[card]", "unknown key flip"),
        ('data = "patches"', 'data = "nowhere"', "no folder"),
        ("seed = 3", 'layout = "flat"', "no layout 'flat'"),
    ],
)
def test_a_configuration_with_a_mistake_is_refused(config_path: Path, old: str, new: str, said: str) -> None:
    assert old in TOY
    config_path.write_text(TOY.replace(old, new))
    with pytest.raises(InputError, match=said):
        train_from_config(config_path)


def test_a_missing_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        train_from_config(tmp_path / "none.toml")


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


def test_class_folders_keep_groups_of_different_classes_apart(tmp_path: Path) -> None:
    for name in ("benign", "tumour"):
        (tmp_path / name / "1").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1" / "a.jpg")
    found = read_class_groups(tmp_path, classes=("benign", "tumour"), tile_px=8)
    assert found.groups == ("benign/1", "tumour/1")
    assert found.labels.tolist() == [0, 1]
    with pytest.raises(InputError, match="stroma"):
        read_class_groups(tmp_path, classes=("stroma",), tile_px=8)

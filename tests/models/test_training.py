from __future__ import annotations

import csv
import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ConflictError, InputError, ModelError
from models.data.patches import Patches, read_idc
from models.data.splits import read_split
from models.networks import ARCHITECTURES
from models.registry import load_model
from models.training.checkpoint import EpochRecord
from models.training.config import read_config
from models.training.few_data import few_data_warnings
from models.training.fitting import fit
from models.training.inputs import at_input_size, input_scale, resized
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


def test_a_stopped_run_is_kept_until_it_is_to_go_on(config_path: Path) -> None:
    def cut(moment: Moment) -> None:
        if moment.epoch == 1:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        train_from_config(config_path, progress=cut)
    with pytest.raises(ConflictError, match="already holds a run"):
        train_from_config(config_path)
    assert len(log_of(config_path.parent / "run")) == 1
    resumed = train_from_config(config_path, resume=True)  # in the same bits: see test_train_resume_kill.py
    assert resumed.epochs_run == len(log_of(resumed.output)) == 2


def test_a_checkpoint_of_another_run_is_not_continued(config_path: Path) -> None:
    config = dataclasses.replace(read_config(config_path), epochs=1, evaluate_test=False)
    result = train(config)
    assert set(result.card.metrics) == {"validation", "validation_darkness", "validation_gain_over_darkness"}
    with pytest.raises(ConflictError, match="another configuration"):
        train(dataclasses.replace(config, learning_rate=0.5), resume=True)


def test_a_damaged_checkpoint_is_refused_with_a_sentence(config_path: Path) -> None:
    output = config_path.parent / "run"
    output.mkdir()
    for content in (b"", b"torn", pickle.dumps({"fingerprint": 1}, protocol=2)):
        (output / "checkpoint.pt").write_bytes(content)
        with pytest.raises(ConflictError, match="no checkpoint that can be read"):
            train_from_config(config_path, resume=True)


def test_the_log_is_made_good_if_a_kill_came_between_checkpoint_and_log(config_path: Path) -> None:
    config = dataclasses.replace(read_config(config_path), epochs=1, evaluate_test=False)
    train(config)
    before = log_of(config.output)
    (config.output / "log.csv").unlink()
    (config.output / "log.json").write_text("[")
    train(config, resume=True)
    assert log_of(config.output) == before
    assert json.loads((config.output / "log.json").read_text())[0]["epoch"] == 1


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
        ("epochs = 2", 'criterion = "accuracy"', "criterion is 'accuracy'.*never finds anything is 74 % accurate"),
        ("epochs = 2", 'criterion = "cost"', "needs balance_cost"),
        ("epochs = 2", 'balance = "smote"', "balance is 'smote'"),
        ("epochs = 2", "balance_cost = 0.0", "balance_cost"),
        ("epochs = 2", 'balance = "share"\npositive_share = 0.3', "4.8 patches"),
        ("epochs = 2", "members = 0", "members is 0"),
        ("epochs = 2", "isometries = 3", "isometries is 3"),
        ("epochs = 2", 'layout = "slides"', "belong together"),
        ("epochs = 2", 'groups = "groups.csv"', "class_folders"),
        ("input_px = 32", "input_px = 16", "needs 32 or more"),
        ('architecture = "mobilenet_v3_small"', 'architecture = "vgg"', "no network architecture 'vgg'"),
        ('classes = ["pale", "dark"]', 'classes = ["pale"]', "two different names"),
        ('normal_class = "pale"', 'normal_class = "dark"', "none of them"),
        ("epochs = 2", 'start = "imagenet"', "start is 'imagenet'"),
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
    with pytest.raises((InputError, ModelError), match=said):
        train_from_config(config_path)


def test_a_missing_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        train_from_config(tmp_path / "none.toml")


def test_every_balance_makes_a_model_whose_probabilities_are_frequencies(config_path: Path) -> None:
    config = dataclasses.replace(
        read_config(config_path), balance="share", positive_share=0.75, epochs=3, ema_decay=0.5, learning_rate=3e-3
    )
    result = train(config)
    model = load_model("toy", device="cpu", root=result.output)
    patches = read_idc(config.data, classes=config.classes)
    validation = patches.select(patches.of_groups(read_split(config.split).validation))
    stated = model.predict(validation.images)[:, 1].mean()
    assert stated == pytest.approx(validation.labels.mean(), abs=0.03)  # half of them, not three quarters
    assert "class balance by share with the prior brought back" in result.card.training


def test_an_ensemble_has_members_with_seeds_of_their_own(config_path: Path) -> None:
    told: list[Moment] = []
    config = dataclasses.replace(read_config(config_path), members=2, isometries=4, epochs=1, evaluate_test=False)
    result = train(config, progress=told.append)
    assert {(news.member, news.members) for news in told if news.steps} == {(1, 2), (2, 2)}
    assert [member.weights for member in result.card.members] == ["toy-1.safetensors", "toy-2.safetensors"]
    assert len({member.sha256 for member in result.card.members}) == 2
    assert result.card.isometries == 4
    assert "seeds 3, 1012" in result.card.training
    assert [row["member"] for row in log_of(result.output)] == ["1", "2"]
    assert load_model("toy", device="cpu", root=result.output).predict(np.zeros((1, 50, 50, 3), np.uint8)).sum() == 1


def test_a_run_starts_from_weights_and_takes_their_scale(config_path: Path, tmp_path: Path) -> None:
    first = train(dataclasses.replace(read_config(config_path), epochs=1, evaluate_test=False))
    assert first.card.members[0].mean_255 != ARCHITECTURES["mobilenet_v3_small"].mean_255
    weights = first.output / "weights" / "toy.safetensors"
    (tmp_path / "second.toml").write_text(
        TOY.replace("seed = 3", f'seed = 3\nstart = "{weights}"').replace('"run"', '"second"')
    )
    second = train_from_config(tmp_path / "second.toml")
    assert second.card.members[0].mean_255 == ARCHITECTURES["mobilenet_v3_small"].mean_255
    assert second.card.training.startswith("From the weights toy.safetensors (SHA-256 ")


def test_without_a_start_the_scale_is_that_of_the_training_patches(config_path: Path) -> None:
    config = read_config(config_path)
    patches = read_idc(config.data, classes=config.classes)
    scale = input_scale(config, patches)
    pixels = patches.images.reshape(-1, 3).astype(float)
    assert scale.mean_255 == tuple(np.round(pixels.mean(0)))
    assert scale.std_255 == tuple(np.round(pixels.std(0)))


def test_a_loss_that_is_no_number_stops_the_run_with_a_sentence(config_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no number any more in step.*learning_rate"):
        train(dataclasses.replace(read_config(config_path), learning_rate=1e30, ema_decay=0.0))


def test_few_patients_are_warned_about_on_the_card_in_the_record_and_at_once(config_path: Path) -> None:
    told: list[Moment] = []
    result = train(dataclasses.replace(read_config(config_path), epochs=1, evaluate_test=False), progress=told.append)
    first, second = result.warnings
    assert first == (
        "Class pale was learnt from 9 patients, slides or other groups: too few for more than a try "
        "(10 to 20 a class are the least)."
    )
    assert second.startswith("Class dark")
    assert result.card.limits == ("a toy", first, second)
    assert told[0].sentence == f"Warning: {first}"
    assert json.loads((result.output / "run.json").read_text())["warnings"] == [first, second]


@pytest.mark.parametrize(("groups", "said"), [(9, "too few"), (10, ": few"), (19, ": few"), (20, "")])
def test_twenty_groups_a_class_are_not_few(groups: int, said: str) -> None:
    labels = np.repeat([0, 1], [groups, 50])
    names = tuple(f"p{index}" for index in range(groups + 50))
    patches = Patches(np.zeros((groups + 50, 1, 1, 3), np.uint8), labels, names, ("pale", "dark"), "")
    warnings = few_data_warnings(patches)
    assert len(warnings) == (1 if said else 0)
    assert said in "".join(warnings)


def test_a_class_that_nobody_of_a_part_has_is_refused(config_path: Path) -> None:
    config = read_config(config_path)
    patches = read_idc(config.data, classes=config.classes)
    pale = patches.select(patches.labels == 0)
    with pytest.raises(InputError, match="training part has no patch of class dark"):
        fit(config, pale, patches)
    with pytest.raises(InputError, match="validation part has no patch of class dark"):
        fit(config, patches, pale)


def test_larger_patches_are_shrunk_as_inference_shrinks_them(config_path: Path) -> None:
    config = read_config(config_path)
    patches = read_idc(config.data, classes=config.classes)
    small, settings = at_input_size(patches, config)
    expected = resized(torch.as_tensor(patches.images[:3]).permute(0, 3, 1, 2).float(), out_px=32)
    assert small.images.shape[1:] == (32, 32, 3)
    np.testing.assert_allclose(small.images[:3], expected.permute(0, 2, 3, 1).numpy(), atol=0.51)
    assert settings.shift_px == pytest.approx(config.augmentation.shift_px * 32 / 50)

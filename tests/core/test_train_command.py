"""`second-read train` from patches to a card, through the command."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from core.commands.train import TrainingBar, bar_line, command
from core.errors import ConflictError, InputError
from models.cards import load_card
from models.registry import load_model
from models.training.progress import Moment

CONFIG = """
name = "shade"
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
batch_size = 12
bootstrap_draws = 10
criterion = "balanced_accuracy"

[card]
title = "Shade"
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


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pale and two dark patches of each of ten patients."""
    root = tmp_path_factory.mktemp("patches")
    for patient in range(20, 30):
        for place in range(4):
            label = place % 2
            random = np.random.default_rng([patient, place])
            image = random.normal((200, 120)[label], 30, (50, 50, 3)).clip(0, 255).astype(np.uint8)
            folder = root / str(patient) / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{patient}_idx5_x{1 + 50 * place}_y1_class{label}.png")
    return root


@pytest.fixture
def config(tmp_path: Path, patches: Path) -> Path:
    (tmp_path / "patches").symlink_to(patches)
    path = tmp_path / "shade.toml"
    path.write_text(CONFIG)
    return path


def train(*arguments: str | Path) -> Result:
    """Run the command; what it raises is for the entry point to turn into a sentence."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_training_tells_where_the_model_is_and_how_good_its_best_epoch_was(config: Path) -> None:
    done = train(config)
    assert done.exit_code == 0, done.output
    warned, told = done.stderr.splitlines()[:2], done.stderr.splitlines()[2:]
    assert [re.match(r"Warning: Class (\w+) was learnt from 6 patients", line)[1] for line in warned] == [
        "pale",
        "dark",
    ]
    assert [line.split(":")[0] for line in told] == [f"Epoch {n} of at most 2" for n in range(3)]

    run = config.parent / "run"
    trained, output, card = done.stdout.splitlines()
    assert output == f"Weights, log and record: {run}"
    assert card == f"Card: {run / 'cards' / 'shade.toml'}"
    assert load_card("shade", root=run).title == "Shade"
    assert load_model("shade", device="cpu", root=run).predict(np.zeros((1, 50, 50, 3), np.uint8)).shape == (1, 2)

    found = re.match(r"Trained shade: epoch (\d) of 2 was best, with a validation balanced accuracy of (\S+);", trained)
    assert found, trained
    with (run / "log.csv").open(newline="") as file:
        logged = {row["epoch"]: float(row["balanced_accuracy"]) for row in csv.DictReader(file)}
    assert float(found[2]) == pytest.approx(logged[found[1]], abs=5e-5)
    assert logged[found[1]] == max(logged.values())


def test_a_finished_run_is_kept_unless_it_is_to_go_on(config: Path) -> None:
    assert train(config).exit_code == 0
    weights = config.parent / "run" / "weights" / "shade.safetensors"
    before = weights.read_bytes()
    assert isinstance(train(config).exception, ConflictError)
    resumed = train(config, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert resumed.stderr.splitlines()[-1].startswith("Epoch 2 of at most 2")  # nothing was left to train
    assert weights.read_bytes() == before


def test_a_configuration_with_a_mistake_starts_nothing(config: Path) -> None:
    config.write_text(CONFIG.replace("epochs = 2", "epoch = 2"))
    assert isinstance(train(config).exception, InputError)
    assert not (config.parent / "run").exists()


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


def test_the_bar_shows_epoch_step_and_the_time_that_is_left_at_this_pace() -> None:
    seconds = iter([100.0, 110.0, 110.05, 120.0, 400.0])
    terminal = Terminal()
    bar = TrainingBar(terminal, clock=lambda: next(seconds))
    bar(Moment(0, 4, 0, 10, "Epoch 0 of at most 4: begins."))
    bar(Moment(0, 4, 5, 10))
    bar(Moment(0, 4, 6, 10))  # 50 ms later: not drawn
    bar(Moment(1, 4, 0, 10, "Epoch 1 of at most 4: good."))
    bar(Moment(4, 4, 0, 10, "Epoch 4 of at most 4: best."))
    assert terminal.getvalue().split("\r\x1b[K") == [
        "",
        "Epoch 0 of at most 4: begins.\n",
        f"[{'-' * 24}] epoch 1/4, step 0/10",
        f"[{'#' * 3}{'-' * 21}] epoch 1/4, step 5/10, at most 0:01:10 left",
        "Epoch 1 of at most 4: good.\n",
        f"[{'#' * 6}{'-' * 18}] epoch 2/4, step 0/10, at most 0:01:00 left",
        "Epoch 4 of at most 4: best.\n",
        "",
    ]


def test_the_bar_counts_the_networks_of_an_ensemble() -> None:
    line = bar_line(Moment(1, 2, 2, 4, member=2, members=3), seconds_left=3661.4)
    assert line == f"[{'#' * 14}{'-' * 10}] network 2/3, epoch 2/2, step 2/4, at most 1:01:01 left"


def test_without_a_terminal_only_epochs_are_told() -> None:
    pipe = io.StringIO()
    bar = TrainingBar(pipe)
    bar(Moment(0, 4, 0, 0, "Warning: few."))
    bar(Moment(0, 4, 5, 10))
    assert pipe.getvalue() == "Warning: few.\n"

"""SIGKILL at any moment of a training in a process of its own: what goes on from there ends in the very same bits."""

from __future__ import annotations

import csv
import itertools
import multiprocessing
import random
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import ConflictError, StorageError
from models.cards import load_card
from models.training.config import read_config
from models.training.progress import Moment
from models.training.run import train, train_from_config

CONFIG = """
name = "kill"
data = "patches"
split = "split.csv"
output = "run"
layout = "class_group"
classes = ["pale", "dark"]
mpp = 4.0
tile_px = 40
input_px = 32
architecture = "mobilenet_v3_small"
seed = 5
members = 2
epochs = 2
batch_size = 8
bootstrap_draws = 5
ema_decay = 0.5
learning_rate = 3e-3
balance = "share"
positive_share = 0.5

[augmentation]
blur_px = 0.8
jpeg_loss = 40

[card]
title = "Kill"
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

PROCESSES = multiprocessing.get_context("forkserver")
"""Children of a server that has imported torch and never computed: real processes, seconds faster than new ones."""
PROCESSES.set_forkserver_preload(["models.training.run"])

STEPS = 5
"""Of an epoch: the 40 patches of ten patients in batches of 8."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with four patches of each of sixteen patients."""
    root = tmp_path_factory.mktemp("kill")
    for patient in range(16):
        name = ("pale", "dark")[patient % 2]
        (root / "patches" / name / f"p{patient}").mkdir(parents=True)
        for place in range(4):
            noise = np.random.default_rng([patient, place]).normal((190, 150)[patient % 2], 40, (40, 40, 3))
            image = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
            image.save(root / "patches" / name / f"p{patient}" / f"{place}.png")
    parts = ["train"] * 10 + ["validation"] * 2 + ["test"] * 4
    rows = [f"{('pale', 'dark')[patient % 2]}/p{patient},{part}\n" for patient, part in enumerate(parts)]
    (root / "split.csv").write_text("group,part\n" + "".join(rows))
    (root / "kill.toml").write_text(CONFIG)
    return root


@pytest.fixture(scope="module")
def unbroken(folder: Path) -> Path:
    """The output of the run that nobody disturbed, trained in this process."""
    return train(replace(read_config(folder / "kill.toml"), output=folder / "unbroken")).output


def run_until(config: Path, stop: Callable[[Moment, int], bool]) -> bool:
    """Train in a process of its own, kill it without warning when `stop` says so; whether it came to its end."""
    receiver, sender = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=_child, args=(config, torch.get_num_threads(), sender))
    child.start()
    sender.close()
    for number in itertools.count():
        try:
            moment: Moment = receiver.recv()
        except EOFError:
            break
        if stop(moment, number):
            child.kill()
            break
    child.join(timeout=60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode == 0


def _child(config: Path, threads: int, sender: Connection) -> None:
    torch.set_num_threads(threads)  # another number of threads adds up in another order
    train_from_config(config, resume=True, progress=sender.send)


def log_of(output: Path) -> list[dict[str, str]]:
    with (output / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_equal_runs(found: Path, expected: Path) -> None:
    """Weights, calibration, thresholds and logs are the same; only the seconds differ."""
    one, other = load_card("kill", root=found), load_card("kill", root=expected)
    assert repr(one) == repr(other)  # a metric that the few patches do not define is nan, which is not equal to itself
    assert one.weights_sha256 == other.weights_sha256
    first, second = ([{**row, "seconds": 0} for row in log_of(root)] for root in (found, expected))
    assert first == second
    assert len(first) == 4
    for name in ("checkpoint.pt", "checkpoint-2.pt"):
        states = [torch.load(root / name, weights_only=True) for root in (found, expected)]
        for part in ("network", "average"):
            for key, tensor in states[0][part].items():
                assert torch.equal(tensor, states[1][part][key]), f"{name}: {part} {key}"


def at(member: int, epoch: int, step: int) -> Callable[[Moment, int], bool]:
    return lambda moment, _number: (moment.member, moment.epoch, moment.step) == (member, epoch, step)


def never(_moment: Moment, _number: int) -> bool:
    return False


def test_killed_in_the_middle_of_epochs_it_ends_in_the_same_bits(folder: Path, unbroken: Path) -> None:
    config = folder / "middle.toml"
    config.write_text(CONFIG.replace('output = "run"', 'output = "middle"'))
    assert not run_until(config, at(1, 1, 3))  # in the second epoch of the first network
    assert [row["epoch"] for row in log_of(folder / "middle")] == ["1"]  # whole epochs only
    assert not run_until(config, at(2, 0, 2))  # in the first epoch of the second network
    assert run_until(config, never)
    assert_equal_runs(folder / "middle", unbroken)


def test_killed_at_a_random_moment_it_ends_in_the_same_bits(folder: Path, unbroken: Path) -> None:
    config = folder / "random.toml"
    config.write_text(CONFIG.replace('output = "run"', 'output = "random"'))
    message = random.SystemRandom().randrange(4 * (STEPS + 1))
    print(f"killed after {message} messages")  # noqa: T201  (pytest shows it if the test fails)
    run_until(config, lambda _moment, number: number == message)
    assert run_until(config, never)
    assert_equal_runs(folder / "random", unbroken)


def test_two_trainings_in_one_folder_are_refused(folder: Path) -> None:
    config = replace(read_config(folder / "kill.toml"), output=folder / "shared", members=1)

    def second(_moment: Moment) -> None:
        with pytest.raises(ConflictError, match="Another training is running"):
            train(config, resume=True)

    assert train(config, progress=second).epochs_run == 2


def test_a_full_disk_is_said_and_leaves_the_old_checkpoint(folder: Path, unbroken: Path) -> None:
    config = replace(read_config(folder / "kill.toml"), output=folder / "full", members=1)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before: list[bytes] = []

    def fill_the_disk(moment: Moment) -> None:
        if (moment.epoch, moment.step) == (1, 1):
            before.append((folder / "full" / "checkpoint.pt").read_bytes())
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limit[1]))

    try:
        with pytest.raises(StorageError, match=r"cannot be written.*--resume"):
            train(config, progress=fill_the_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (folder / "full" / "checkpoint.pt").read_bytes() == before[0]
    assert not list((folder / "full").glob("*.partial"))
    train(config, resume=True)
    rest = torch.load(folder / "full" / "checkpoint.pt", weights_only=True)["network"]
    whole = torch.load(unbroken / "checkpoint.pt", weights_only=True)["network"]
    assert all(torch.equal(rest[key], whole[key]) for key in whole)

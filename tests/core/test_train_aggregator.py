"""Training an aggregator on slides of the catalogue, what is refused, and what the analysis then does with it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_kit import second_read
from conftest import tissue_image, write_pyramid
from people_kit import CLERK, enrol
from store_kit import add_slide, run_of, save

from core.domain import ReadCategory, Size, SlideStatus, Stain
from core.errors import ConflictError, InputError, ModelError, NotFoundError
from core.roles import Role
from core.services import catalogue
from core.services.analysis.aggregation_facts import AGGREGATORS, DECISION_CHOSEN, REFUSED
from core.services.analysis.aggregators import apply_active, load_active, statistics_of
from core.services.analysis.analyse import analyse_slide
from core.services.analysis.deciding import Choice, read_choice
from core.services.analysis.run_files import RunFolder
from core.services.catalogue import SlideRequest
from core.services.training.aggregator_training import TrainingRequest, train_aggregator
from core.services.training.slide_labels import slide_labels
from core.services.viewing.display import aggregator_notes, rule_meanings
from core.services.viewing.layers import attention_layer, class_names, has_attention
from core.settings import Settings
from core.store.records import RunResult
from models.aggregators.cards import read_aggregator
from models.aggregators.machine_learning import Fitted, predict
from models.aggregators.slides import LabelledSlide, check_slides
from models.cards import load_card

CARD = load_card("idc")
SIDE = 12
"""Tiles along each side of the made-up runs."""


def tiles_of(*, diseased: bool, seed: int) -> pd.DataFrame:
    """Tiles of a run that no model made: in a diseased slide four of 144 that touch are high."""
    rng = np.random.default_rng(seed)
    positive = rng.uniform(0.02, 0.3, SIDE * SIDE)
    if diseased:
        corner = int(rng.integers(SIDE - 1)) * SIDE + int(rng.integers(SIDE - 1))
        positive[[corner, corner + 1, corner + SIDE, corner + SIDE + 1]] = rng.uniform(0.8, 0.99, 4)
    columns = {f"prob_{name}": positive if name == "idc" else 1 - positive for name in CARD.classes}
    place = np.arange(SIDE * SIDE)
    return pd.DataFrame(
        {"x": 400 * (place % SIDE), "y": 400 * (place // SIDE), "width": 400, "height": 400}
        | {name: values.astype(np.float32) for name, values in columns.items()}
        | {"qc_usable": np.float32(1), "qc_artefact": np.uint8(0), "saliency": np.float32(0.2)}
    )


def add_run(settings: Settings, name: str, *, diseased: bool, seed: int, case_id: str | None = None) -> RunResult:
    """A slide with a finished run by the shipped model."""
    slide_id = add_slide(settings, name, case_id=case_id or f"case-{name}")
    run = run_of(slide_id, run_id=f"run-{name}")
    facts = replace(run.facts, sha256=f"{seed:064d}") if run.facts else None
    values = {
        "tile_um": CARD.tile_um,
        "stride_um": settings.stride_um or CARD.tile_um,
        "min_tissue_fraction": settings.min_tissue_fraction,
    }
    scores = {rule: dict.fromkeys(CARD.classes, 0.5) for rule in ("top_k_mean", "mean")}
    run = replace(run, weights_sha256=CARD.weights_sha256, settings=values, facts=facts, scores=scores)
    RunFolder.of(settings, slide_id, run.run_id).write_tiles(tiles_of(diseased=diseased, seed=seed))
    save(settings, run)
    return run


def write_labels(path: Path, rows: list[tuple[str, ...]], *, columns: tuple[str, ...] = ("slide_id", "label")) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    """A home of thirty slides, every second one diseased, and the table of their labels."""
    folder = tmp_path_factory.mktemp("thirty")
    settings = Settings(home=folder / "home")
    for number in range(30):
        add_run(settings, f"s{number:02d}", diseased=number % 2 == 0, seed=number)
    rows = [(f"s{n:02d}", str(int(n % 2 == 0))) for n in range(30)]
    return settings, write_labels(folder / "labels.csv", rows)


def request(labels: Path | str, **changes: object) -> TrainingRequest:
    values: dict[str, object] = {"kind": "logistic", "name": "trial", "labels": str(labels), "model": "idc"}
    return TrainingRequest(**{**values, "few_slides_accepted": True, **changes})  # type: ignore[arg-type]


def test_the_command_trains_warns_and_keeps_a_record(thirty: tuple[Settings, Path]):
    settings, labels = thirty
    arguments = ("train-aggregator", "logistic", "--name", "trial", "--labels", labels, "--home", settings.home)
    assert "30 slides are too few" in second_read(*arguments).refusal()
    done = second_read(*arguments, "--few-slides-accepted")
    assert done.code == 0, done.err
    assert "Warning: Trained on only 30 slides (15 with the target)" in done.err
    assert "auc 1.000" in done.out
    folder = settings.aggregators_dir / "trial"
    card = read_aggregator(folder / "trial.toml").card
    assert (card.slides, card.positives, card.groups, card.tile_model_sha256) == (30, 15, 30, CARD.weights_sha256)
    assert card.warning in card.meaning
    assert "--labels labels.csv" in card.training, "files by their names only"
    assert str(settings.home) not in (folder / "trial.toml").read_text() + (folder / "run.json").read_text()
    rows = table(folder / "slides.csv")
    assert [row["label"] for row in rows] == [row["held_out_call"] for row in rows], "every slide was held out once"
    assert json.loads((folder / "run.json").read_text())["weights_sha256"] == card.weights_sha256
    assert not [path for path in folder.iterdir() if path.suffix not in (".toml", ".safetensors", ".csv", ".json")]
    assert "is there already" in second_read(*arguments, "--few-slides-accepted").refusal()


def test_the_same_data_and_seed_give_the_same_weights(thirty: tuple[Settings, Path]):
    settings, labels = thirty
    found = [
        train_aggregator(settings, request(labels, name=name, kind="svm", folds=3)).result.card for name in ("a", "b")
    ]
    assert found[0].weights_sha256 == found[1].weights_sha256
    assert found[0].data_sha256 == found[1].data_sha256
    assert found[0].metrics == found[1].metrics


def test_a_split_file_is_obeyed_and_its_test_part_measured(thirty: tuple[Settings, Path], tmp_path: Path):
    settings, labels = thirty
    parts = [(f"case-s{n:02d}", "test" if n >= 24 else "validation" if n >= 20 else "train") for n in range(30)]
    split = write_labels(tmp_path / "split.csv", parts, columns=("group", "part"))
    train_aggregator(settings, request(labels, name="split", split=split, folds=3))
    rows = table(settings.aggregators_dir / "split" / "slides.csv")
    assert [row["slide_id"] for row in rows if row["held_out_call"]] == [f"s{n}" for n in range(24, 30)]
    leaking = write_labels(tmp_path / "leaking.csv", [*parts, ("case-s03", "test")], columns=("group", "part"))
    with pytest.raises(InputError, match=r"leaks: case-s03 \(train and test\)"):
        train_aggregator(settings, request(labels, name="other", split=leaking))


def test_leaks_are_refused_with_the_ids():
    def slide(name: str, *, case: str, group: str, sha: str, label: bool = False) -> LabelledSlide:
        return LabelledSlide(name, case, group, sha, label)

    one = slide("a", case="c1", group="g1", sha="1")
    with pytest.raises(InputError, match="one case but in different groups: a, b"):
        check_slides([one, slide("b", case="c1", group="g2", sha="2")], few_slides_accepted=True)
    with pytest.raises(InputError, match="one slide file but in different groups: a, copy"):
        check_slides([one, slide("copy", case="c2", group="g2", sha="1")], few_slides_accepted=True)
    with pytest.raises(InputError, match="listed twice: a"):
        check_slides([one, one], few_slides_accepted=True)


def test_few_slides_are_refused_and_very_few_whatever_the_flag():
    def slides(count: int) -> list[LabelledSlide]:
        return [LabelledSlide(f"s{n}", f"c{n}", f"c{n}", f"{n}", n % 2 == 0) for n in range(count)]

    check_slides(slides(1000), few_slides_accepted=False)
    with pytest.raises(InputError, match="below 1,000"):
        check_slides(slides(999), few_slides_accepted=False)
    check_slides(slides(999), few_slides_accepted=True)
    with pytest.raises(InputError, match="at least 10 of each"):
        check_slides(slides(19), few_slides_accepted=True)


def test_labels_that_say_nothing_about_the_slides_leave_nothing_behind(thirty: tuple[Settings, Path], tmp_path: Path):
    settings, _ = thirty
    swapped = [(f"s{n:02d}", str(int((n // 2) % 2 == 0))) for n in range(30)]
    useless = write_labels(tmp_path / "useless.csv", swapped)
    with pytest.raises(InputError, match="no better than chance"):
        train_aggregator(settings, request(useless, name="useless", folds=3, seed=2))
    assert not (settings.aggregators_dir / "useless" / "useless.toml").exists()


# --- labels ---------------------------------------------------------------------------------------------------------


def test_labels_from_a_table(settings: Settings, tmp_path: Path):
    for name in "abc":
        add_slide(settings, name, case_id=f"case-{name}")
    path = write_labels(tmp_path / "t.csv", [("a", "1", "p1"), ("b", "no", "")], columns=("slide_id", "label", "group"))
    found = slide_labels(settings, str(path))
    assert found.target == {"a": True, "b": False}
    assert found.groups == {"a": "p1"}
    assert found.left_out == {"c": "not in the table"}
    with pytest.raises(InputError, match="not in the catalogue: ghost"):
        slide_labels(settings, str(write_labels(tmp_path / "g.csv", [("ghost", "1")])))
    with pytest.raises(InputError, match=r"row 2: the label is 'maybe'"):
        slide_labels(settings, str(write_labels(tmp_path / "m.csv", [("a", "maybe")])))
    with pytest.raises(InputError, match="twice: a"):
        slide_labels(settings, str(write_labels(tmp_path / "d.csv", [("a", "1"), ("a", "1")])))


def test_labels_from_reads_only_where_a_read_says_something_about_a_slide(settings: Settings):
    from core.services.cases.review import record_diagnosis, reveal_model

    for name, case_id in (
        ("a", "M"),
        ("b", "B"),
        ("c", "B"),
        ("d", "many"),
        ("e", "many"),
        ("f", "late"),
        ("g", "open"),
    ):
        add_slide(settings, name, case_id=case_id)
    enrol(settings, "dr", roles=(Role.PATHOLOGIST,))
    reveal_model(settings, "late", actor="dr")
    reads = {"M": "malignant", "B": "benign", "many": "malignant", "late": "malignant"}
    for case_id, category in reads.items():
        record_diagnosis(settings, case_id, category=ReadCategory(category), actor="dr")
    found = slide_labels(settings, "reads")
    assert found.target == {"a": True, "b": False, "c": False}
    assert "does not say which" in found.left_out["d"]
    assert "after the model" in found.left_out["f"]
    assert found.left_out["g"] == "its case was not read"


def test_labels_from_the_truth_of_phantoms(settings: Settings):
    from core.phantom.truth import PhantomTruth, TruthRegion, write_geojson

    square = (((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 0.0)),)
    for name, region in (("t", "Tumor"), ("p", "Artefact: pen"), ("none", None)):
        slide_id = add_slide(settings, name)
        path = Path(catalogue.get_slide(settings, slide_id).path).with_suffix(".geojson")
        if region:
            write_geojson(PhantomTruth(name, (TruthRegion(region, (square,), 0.1),)), path)
    found = slide_labels(settings, "truth")
    assert found.target == {"t": True, "p": False}
    assert found.left_out == {"none": "no truth beside it"}


# --- in the analysis ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(thirty: tuple[Settings, Path]) -> Settings:
    """Settings with an active aggregator."""
    settings, labels = thirty
    train_aggregator(settings, request(labels, name="active", folds=3))
    return replace(settings, aggregators=("active",))


def applied(settings: Settings, run: RunResult) -> RunResult:
    return apply_active(settings, run, CARD, load_active(settings, CARD))


def test_an_active_aggregator_adds_its_row_and_decides_nothing(trained: Settings):
    for name, diseased in (("new-1", True), ("new-2", False)):
        run = add_run(trained, name, diseased=diseased, seed=900 + diseased)
        found = applied(trained, run)
        stored = read_aggregator(trained.aggregators_dir / "active" / "active.toml")
        tiles = RunFolder.of(trained, run.slide_id, run.run_id).read_tiles()
        fitted = Fitted("logistic", {key: value.astype(np.float64) for key, value in stored.arrays.items()})
        wanted = float(predict(fitted, statistics_of(CARD, tiles).values[None])[0])
        assert found.scores["active"] == {"idc": wanted, "no_idc": 1 - wanted}
        assert (wanted >= stored.card.threshold) == diseased
        assert (found.decision_aggregation, found.decision_score) == (run.decision_aggregation, run.decision_score)
        assert list(found.scores)[:-1] == list(run.scores)
        assert "attention" not in tiles
        meaning = rule_meanings(found)["active"]
        assert meaning.startswith("Logistic regression on tile statistics")
        assert any("Trained on only 30 slides" in note for note in aggregator_notes(found))


def test_without_active_aggregators_a_run_stays_as_it_is(settings: Settings):
    run = add_run(settings, "plain", diseased=True, seed=1)
    assert applied(settings, run) is run


def test_another_model_or_other_tiles_are_refused_with_the_reason_in_the_run(trained: Settings):
    run = add_run(trained, "other", diseased=True, seed=901)
    member = replace(CARD.members[0], sha256="f" * 64)
    other = replace(CARD, members=(member,))
    found = apply_active(trained, run, other, load_active(trained, other))
    assert "active" not in found.scores
    assert "was trained on tiles of idc" in found.settings[REFUSED]["active"]  # type: ignore[index]
    assert any(note.startswith("active was not used") for note in aggregator_notes(found))
    finer = replace(trained, stride_um=100.0)
    assert "this run has 200 um every 100 um" in load_active(finer, CARD).refused["active"]
    with pytest.raises(ModelError, match="active should decide and cannot"):
        load_active(replace(finer, decision="active"), CARD)


def test_the_user_may_choose_what_decides_and_is_told(trained: Settings):
    run = add_run(trained, "chosen", diseased=True, seed=901)
    found = applied(replace(trained, decision="active"), run)
    stored = read_aggregator(trained.aggregators_dir / "active" / "active.toml").card
    assert found.decision_aggregation == "active"
    assert (found.decision_score, found.threshold) == (found.scores["active"]["idc"], stored.threshold)
    assert found.label == "idc"
    assert "Decided by active" in str(found.settings[DECISION_CHOSEN])
    strict = applied(replace(trained, decision="max:0.995"), run)
    assert (strict.decision_aggregation, strict.threshold, strict.label) == ("max", 0.995, "no_idc")
    by_mean = applied(replace(trained, decision="mean:0.5"), run)
    assert (by_mean.decision_aggregation, by_mean.label) == ("mean", "no_idc")
    assert by_mean.decision_score == pytest.approx(tiles_of(diseased=True, seed=901)["prob_idc"].mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", None), ("top_k_mean", Choice("top_k_mean", None)), ("max:0.9", Choice("max", 0.9)), ("t", Choice("t", None))],
)
def test_what_decides_is_read(text, wanted):
    assert read_choice(text, aggregators=["t"]) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mean", "No card states"),
        ("ghost", "cannot decide"),
        ("max:2", "between 0 and 1"),
        ("max:x", "between 0 and 1"),
    ],
)
def test_what_cannot_decide_is_refused(text, says):
    with pytest.raises(InputError, match=says):
        read_choice(text, aggregators=["t"])


def test_unknown_and_doubled_aggregators_are_refused_before_any_work(trained: Settings):
    with pytest.raises(NotFoundError, match=r"known are: .*active"):
        load_active(replace(trained, aggregators=("ghost",)), CARD)
    with pytest.raises(InputError, match="named twice"):
        load_active(replace(trained, aggregators=("active", "active")), CARD)


# --- attention, on slides -------------------------------------------------------------------------------------------

TISSUE = Size(520, 440)


@pytest.fixture(scope="module")
def attended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    """A home with 24 small slides, half of them with a dark spot, and an aggregator with attention trained on them."""
    folder = tmp_path_factory.mktemp("abmil")
    settings = Settings(home=folder / "home", device="cpu")
    requests, rows = [], []
    for number in range(24):
        image = tissue_image(TISSUE.width, TISSUE.height, seed=number)
        if number % 2:
            image[180:250, 200:270] = (image[180:250, 200:270] * 0.45).astype(np.uint8)
        path = write_pyramid(folder / f"w{number:02d}.tif", image, mpp=4.0, levels=1)
        requests.append(SlideRequest(path, f"case-{number}", stain=Stain.HE))
        rows.append((f"w{number:02d}", str(number % 2)))
    catalogue.add_slides(settings, requests, actor=CLERK)
    labels = write_labels(folder / "labels.csv", rows)
    train_aggregator(settings, request(labels, kind="abmil", name="attends"))
    return settings, labels


def test_attention_stands_in_the_tiles_apart_from_probability(attended: tuple[Settings, Path]):
    settings, _ = attended
    plain = analyse_slide(settings, "w01", run_id="plain")
    found = analyse_slide(replace(settings, aggregators=("attends",)), "w01", run_id="with")
    assert found.status is SlideStatus.OK
    assert {name: value for name, value in found.scores.items() if name != "attends"} == plain.scores
    assert found.scores["attends"]["idc"] > 0.5
    before, after = (RunFolder.of(settings, "w01", run_id).read_tiles() for run_id in ("plain", "with"))
    pd.testing.assert_frame_equal(before, after.drop(columns="attention"))
    attention = after["attention"].to_numpy()
    assert attention.sum() == pytest.approx(1, abs=1e-5)
    assert attention.min() >= 0
    dark = after[(after.x + after.width > 200) & (after.x < 270) & (after.y + after.height > 180) & (after.y < 250)]
    assert dark["attention"].sum() > 0.5, "the spot is where it looks"
    assert class_names(settings, "w01", "with") == ("no_idc", "idc"), "attention is no class"
    assert has_attention(settings, "w01", "with")
    assert not has_attention(settings, "w01", "plain")
    assert len(attention_layer(settings, "w01", "with")) > 100
    with pytest.raises(NotFoundError, match="No aggregator with attention"):
        attention_layer(settings, "w01", "plain")
    facts = found.settings[AGGREGATORS][0]  # type: ignore[index]
    assert (facts["encoder"], facts["kind"]) == ("model:idc", "abmil")


def test_attention_was_trained_on_one_part_stopped_on_another_and_measured_on_the_third(
    attended: tuple[Settings, Path],
):
    settings, labels = attended
    folder = settings.aggregators_dir / "attends"
    card = read_aggregator(folder / "attends.toml").card
    parts = {row["group"]: row["part"] for row in table(folder / "split.csv")}
    rows = table(folder / "slides.csv")
    assert {row["group"] for row in rows if row["held_out_call"]} == {g for g, part in parts.items() if part == "test"}
    losses = [float(row["loss"]) for row in table(folder / "log.csv")]
    assert f"Epoch {1 + int(np.argmin(losses))} of {len(losses)}" in card.training
    again = train_aggregator(settings, request(labels, kind="abmil", name="attends", resume=True)).result.card
    assert again.weights_sha256 == card.weights_sha256, "a finished run that is resumed ends where it ended"
    with pytest.raises(ConflictError, match="other slides, labels or settings"):
        train_aggregator(settings, request(labels, kind="abmil", name="attends", resume=True, seed=1))


def test_an_encoder_with_other_weights_is_refused(attended: tuple[Settings, Path]):
    settings, _ = attended
    path = settings.aggregators_dir / "attends" / "attends.toml"
    copy = settings.home / "copy"
    copy.mkdir(exist_ok=True)
    text = path.read_text().replace(read_aggregator(path).card.encoder_sha256, "e" * 64)
    (copy / "attends.toml").write_text(text)
    (copy / "attends.safetensors").write_bytes(path.with_suffix(".safetensors").read_bytes())
    active = load_active(replace(settings, aggregators=(str(copy / "attends.toml"),)), CARD)
    assert "was trained on model:idc eeeeeeeeeeee" in active.refused["attends"]

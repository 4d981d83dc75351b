"""Linear probe and prototypes: against scikit-learn, against hand values, by patient, and as files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.errors import InputError, ModelError
from models.encoders.head_evaluation import cross_validate_head
from models.encoders.head_files import LINEAR_PROBE, PROTOTYPES, HeadCard, pack_head, read_head, write_head
from models.encoders.heads import LinearProbe, fit_linear_probe
from models.encoders.prototypes import Prototypes, fit_prototypes

CLASSES = ("benign", "tumour")
Data = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.str_]]


def clouds(
    *, classes: int = 2, patients: int = 12, each: int = 8, size: int = 6, apart: float = 1.5, seed: int = 0
) -> Data:
    """Vectors around one centre a class; every patient has all classes and an offset of its own."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, apart, (classes, size))
    labels = np.tile(np.arange(classes), patients * each)
    groups = np.repeat([f"p{number:02}" for number in range(patients)], classes * each)
    offsets = np.repeat(random.normal(0, 0.3, (patients, size)), classes * each, axis=0)
    vectors = centres[labels] + offsets + random.normal(0, 1, (len(labels), size))
    return vectors.astype(np.float32), labels, groups


@pytest.mark.parametrize(("classes", "balanced"), [(2, False), (2, True), (3, False)])
def test_the_probe_is_scikit_learns_logistic_regression_on_standardised_vectors(classes: int, balanced: bool) -> None:
    vectors, labels, groups = clouds(classes=classes)
    labels[:20] = 0
    vectors[:, 2] = 7.0  # a dimension that never changes
    names = tuple(f"c{number}" for number in range(classes))
    probe = fit_linear_probe(vectors, labels, groups, classes=names, balanced=balanced, strengths=(0.05,))
    scaler = StandardScaler().fit(vectors.astype(np.float64))
    expected = LogisticRegression(C=0.05, max_iter=2000, class_weight="balanced" if balanced else None)
    expected.fit(scaler.transform(vectors.astype(np.float64)), labels)
    probabilities = expected.predict_proba(scaler.transform(vectors.astype(np.float64)))
    np.testing.assert_allclose(probe.probabilities(vectors), probabilities, atol=1e-8)
    assert probe.strength == 0.05
    assert probe.embedding_size == 6


def test_the_penalty_is_chosen_between_patients() -> None:
    """Here a vector tells the patient and nothing else, so what a patient's own vectors teach must not count."""
    random = np.random.default_rng(1)
    patients = np.repeat(np.arange(24), 6)
    vectors = random.normal(0, 1, (24, 40))[patients] + random.normal(0, 0.05, (len(patients), 40))
    labels = random.permutation(np.arange(24) % 2)[patients]
    groups = patients.astype(str)
    strengths = (1e-4, 1e-2, 1.0)
    assert fit_linear_probe(vectors, labels, groups, classes=CLASSES, strengths=strengths).strength == 1e-4
    own = np.arange(len(patients)).astype(str)  # every vector a patient of its own: memory seems to pay
    assert fit_linear_probe(vectors, labels, own, classes=CLASSES, strengths=strengths).strength == 1.0


def test_balance_moves_the_rare_class_up() -> None:
    vectors, labels, groups = clouds(apart=0.6)
    keep = (labels == 0) | (np.arange(len(labels)) % 10 == 1)
    plain, even = (
        fit_linear_probe(
            vectors[keep], labels[keep], groups[keep], classes=CLASSES, balanced=balanced, strengths=(1.0,)
        )
        for balanced in (False, True)
    )
    rare = labels[keep].mean()
    assert plain.probabilities(vectors[keep])[:, 1].mean() == pytest.approx(rare, abs=0.01)
    assert even.probabilities(vectors[keep])[:, 1].mean() > 2 * rare


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v, y, g: (v[:-1], y, g), "one label and one patient for each vector"),
        (lambda v, y, g: (v, y * 0, g), "none were given for: tumour"),
        (lambda v, y, g: (v, y + 1, g), "Every class needs examples"),
        (lambda v, y, g: (v * np.nan, y, g), "no numbers"),
        (lambda v, y, _: (v, y, np.full(len(y), "one")), "at least two are needed"),
        (lambda v, y, _: (v, y, y.astype(str)), "at least two patients"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: object, sentence: str) -> None:
    vectors, labels, groups = change(*clouds())  # type: ignore[operator]
    with pytest.raises(InputError, match=sentence):
        fit_linear_probe(vectors, labels, groups, classes=CLASSES)


def test_prototypes_by_hand() -> None:
    vectors = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    heads = fit_prototypes(vectors, np.array([0, 0, 1]), np.array(["a", "b", "c"]), classes=CLASSES)
    np.testing.assert_allclose(heads.centre, [1.0, 1.0])  # the mean of the class means, not of the vectors
    half = np.sqrt(0.5)
    np.testing.assert_allclose(heads.directions, [[half, -half], [-half, half]])
    distances = heads.distances(np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 9.0]]))
    near = 1 - 3 / np.sqrt(10)
    np.testing.assert_allclose(distances[0], [near, 2 - near])
    np.testing.assert_allclose(distances[1], [1.0, 1.0])  # the centre itself has no direction
    assert heads.nearest(np.array([[3.0, 0.0], [0.0, 9.0]])).tolist() == [0, 1]
    np.testing.assert_allclose(heads.scores(np.array([[3.0, 0.0]])), [[2 - 2 * near, 2 * near - 2]])
    assert heads.shots == (2, 1)


def test_shots_are_counted_and_come_from_as_many_patients_as_possible() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c", "d"], 10)
    labels = np.tile([0, 1], 20)
    # Each vector carries its own row, so that the prototype tells which rows it was made of.
    vectors = np.eye(40) * random.uniform(1, 2, (40, 1))
    for shots, patients in ((1, 1), (3, 3), (4, 4), (6, 4)):
        heads = fit_prototypes(vectors, labels, groups, classes=CLASSES, shots=shots, seed=3)
        assert heads.shots == (shots, shots)
        used = np.flatnonzero(heads.centre)
        assert len(used) == 2 * shots
        for index in (0, 1):
            assert len(set(groups[used[labels[used] == index]])) == patients
    same = fit_prototypes(vectors, labels, groups, classes=CLASSES, shots=3, seed=3)
    other = fit_prototypes(vectors, labels, groups, classes=CLASSES, shots=3, seed=4)
    again = fit_prototypes(vectors, labels, groups, classes=CLASSES, shots=3, seed=3)
    assert np.array_equal(same.centre, again.centre)
    assert not np.array_equal(same.centre, other.centre)
    assert fit_prototypes(vectors, labels, groups, classes=CLASSES, shots=99).shots == (20, 20)


@given(seed=st.integers(0, 2**16), classes=st.integers(2, 4), shots=st.one_of(st.none(), st.integers(1, 5)))
@settings(max_examples=25, deadline=None)
def test_distances_lie_between_0_and_2_and_scores_order_as_they_do(seed: int, classes: int, shots: int | None) -> None:
    vectors, labels, groups = clouds(classes=classes, patients=4, each=2, seed=seed)
    names = tuple(f"c{number}" for number in range(classes))
    heads = fit_prototypes(vectors, labels, groups, classes=names, shots=shots, seed=seed)
    distances, scores = heads.distances(vectors), heads.scores(vectors)
    assert distances.min() >= -1e-12
    assert distances.max() <= 2 + 1e-12
    assert np.array_equal(scores.argmax(axis=1), distances.argmin(axis=1))
    assert (np.sort(scores, axis=1)[:, -1] >= 0).all()


def test_more_shots_make_better_prototypes() -> None:
    train, test = clouds(patients=40, size=24, apart=0.35, seed=2), clouds(patients=40, size=24, apart=0.35, seed=2)
    right = []
    for shots in (1, 5, 100):
        of_draws = []
        for seed in range(10):
            heads = fit_prototypes(*train, classes=CLASSES, shots=shots, seed=seed)
            of_draws.append(float((heads.nearest(test[0]) == test[1]).mean()))
        right.append(float(np.mean(of_draws)))
    assert right[0] + 0.03 < right[1]
    assert right[1] + 0.02 < right[2]


@pytest.mark.parametrize("kind", [LINEAR_PROBE, PROTOTYPES])
def test_evaluation_measures_every_vector_once_on_a_patient_never_fitted(kind: str) -> None:
    vectors, labels, groups = clouds()
    fitted: list[set[str]] = []

    def fit(v: NDArray[np.floating], y: NDArray[np.integer], g: NDArray[np.str_]) -> LinearProbe | Prototypes:
        fitted.append(set(g.tolist()))
        made = partial(fit_linear_probe, strengths=(0.1,)) if kind == LINEAR_PROBE else fit_prototypes
        return made(v, y, g, classes=CLASSES)

    found = cross_validate_head(fit, vectors, labels, groups, classes=CLASSES, folds=4, draws=50)
    assert np.isfinite(found.scores).all()
    for fold, known in enumerate(fitted):
        measured = set(groups[found.fold == fold].tolist())
        assert measured
        assert not measured & known
        assert measured | known == set(groups.tolist())
    assert found.metrics["macro_auc"].value > 0.85
    estimate = found.metrics["balanced_accuracy"]
    assert 0.75 < estimate.low <= estimate.value <= estimate.high


def test_a_head_that_knows_the_patient_gains_nothing() -> None:
    random = np.random.default_rng(5)
    patients = np.repeat(np.arange(40), 5)
    vectors = random.normal(0, 1, (40, 20))[patients] + random.normal(0, 0.05, (len(patients), 20))
    labels = random.permutation(np.arange(40) % 2)[patients]
    fit = partial(fit_linear_probe, classes=CLASSES)
    found = cross_validate_head(fit, vectors, labels, patients.astype(str), classes=CLASSES, draws=20)
    assert 0.25 < found.metrics["macro_auc"].value < 0.75
    leaking = np.arange(len(patients)).astype(str)
    assert (
        cross_validate_head(fit, vectors, labels, leaking, classes=CLASSES, draws=20).metrics["macro_auc"].value > 0.95
    )


def test_too_few_patients_for_the_folds_are_refused() -> None:
    vectors, labels, groups = clouds(patients=4)
    with pytest.raises(InputError, match="benign has 4 patients; 5 folds"):
        cross_validate_head(partial(fit_prototypes, classes=CLASSES), vectors, labels, groups, classes=CLASSES)


def card_for(content: bytes, *, kind: str) -> HeadCard:
    return HeadCard(
        name="probe",
        kind=kind,
        classes=CLASSES,
        encoder="uni",
        encoder_sha256="a" * 64,
        encoder_licence="CC-BY-NC-ND-4.0",
        embedding_size=6,
        data='clouds "quoted" \\ back',
        data_sha256="b" * 64,
        vectors=192,
        groups=12,
        settings="none",
        evaluation="none",
        metrics={"auc_benign": {"value": 0.9, "low": 0.8, "high": 1.0}, "ppv_a b": {"value": float("nan")}},
        limits=("one", "two"),
        created="2026-11-21",
        weights="probe.safetensors",
        weights_sha256=hashlib.sha256(content).hexdigest(),
    )


@pytest.mark.parametrize("kind", [LINEAR_PROBE, PROTOTYPES])
def test_a_head_comes_back_from_its_files_bit_for_bit(tmp_path: Path, kind: str) -> None:
    data = clouds()
    head = fit_linear_probe(*data, classes=CLASSES) if kind == LINEAR_PROBE else fit_prototypes(*data, classes=CLASSES)
    content = pack_head(head)
    path = write_head(card_for(content, kind=kind), content, tmp_path / "heads")
    assert sorted(file.name for file in path.parent.iterdir()) == ["probe.safetensors", "probe.toml"]
    stored = read_head(path)
    assert replace(stored.card, metrics={}) == replace(card_for(content, kind=kind), metrics={})
    assert stored.card.metrics["auc_benign"] == {"value": 0.9, "low": 0.8, "high": 1.0}
    assert np.isnan(stored.card.metrics["ppv_a b"]["value"])
    assert np.array_equal(stored.head.scores(data[0]), head.scores(data[0]))
    stored.check_encoder("a" * 64)
    with pytest.raises(ModelError, match=r"reads vectors of uni \(aaaaaaaaaaaa"):
        stored.check_encoder("c" * 64)
    with pytest.raises(InputError, match=r"vectors of length 6, got an array of shape \(2, 5\)"):
        stored.head.scores(np.zeros((2, 5)))


def test_altered_files_are_refused(tmp_path: Path) -> None:
    content = pack_head(fit_prototypes(*clouds(), classes=CLASSES))
    card = card_for(content, kind=PROTOTYPES)
    path = write_head(card, content, tmp_path)
    numbers = tmp_path / "probe.safetensors"
    text = path.read_text()
    numbers.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match="are not those of the card"):
        read_head(path)
    numbers.unlink()
    with pytest.raises(ModelError, match="are missing"):
        read_head(path)
    numbers.write_bytes(content)
    for wrong, sentence in (
        (text.replace('kind = "prototypes"', 'kind = "linear_probe"'), "have the shapes"),
        (text.replace("embedding_size = 6", "embedding_size = 7"), "have the shapes"),
        (text.replace("vectors = 192\n", ""), "these fields: vectors"),
        (text.replace('kind = "prototypes"', 'kind = "magic"'), "kind must be one of"),
        (text.replace('"probe.safetensors"', '"probe.pkl"'), "never a pickle"),
        (text.replace('"probe.safetensors"', '"../probe.safetensors"'), "without a folder"),
        (text.replace("classes = [", "classes = 3 # ["), "value of the wrong kind"),
        ("= nonsense", "cannot be read"),
    ):
        path.write_text(wrong)
        with pytest.raises(ModelError, match=sentence):
            read_head(path)
    with pytest.raises(ModelError, match="another digest"):
        write_head(replace(card, weights_sha256="d" * 64), content, tmp_path)

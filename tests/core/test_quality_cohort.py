"""Cohorts of slides: outliers by a stated rule, a map that stays, a batch effect against chance; trends with limits."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import silhouette_samples
from store_kit import add_slide
from verdict_kit import measured_many, people, report_of

from core.errors import InputError
from core.qc.classes import ARTEFACTS
from core.qc.cohort import batch_effect, embed, isolation, outlying, robust_scores, shares_between, silhouettes
from core.qc.control import individuals_chart, share_chart
from core.services.quality.cohort import cohort_view
from core.services.quality.second_reads import ask_second_reads
from core.services.quality.table import SORTS, UNMEASURED, QualityQuery, quality_table
from core.services.quality.trends import quality_trends
from core.services.quality.verdicts import NewQcVerdict, judge
from core.settings import Settings
from core.store.quality_schema import ARTEFACT_NAMES
from core.vocabulary import QcDisposition, QcReason

DAY = datetime(2030, 1, 1, 12, tzinfo=UTC)


def test_the_tables_columns_are_the_artefact_classes() -> None:
    assert tuple(kind.value for kind in ARTEFACTS) == ARTEFACT_NAMES


def test_robust_scores_of_literal_columns() -> None:
    features = np.array([[1.0, 0, 7, np.nan], [2, 0, 7, np.nan], [3, 0, 7, np.nan], [4, 0, 7, np.nan], [100, 1, 7, 1]])
    scores = robust_scores(features)
    # Median 3, median deviation 1; the second column by its mean deviation of 0.2, the third does not vary.
    assert scores[:, 0] == pytest.approx([0.6745 * d for d in (-2, -1, 0, 1, 97)])
    assert scores[:, 1] == pytest.approx([0, 0, 0, 0, 0.7979 * 5])
    assert scores[:, 2].tolist() == [0] * 5
    assert np.isnan(scores[:4, 3]).all()
    assert outlying(scores) == [[], [], [], [], [0, 1]]


@given(
    features=arrays(float, (7, 3), elements=st.integers(-50, 50)),
    scale=st.sampled_from([0.25, 0.5, 2.0, 8.0]),
    shift=st.integers(-99, 99),
)
def test_outliers_do_not_depend_on_units(features: np.ndarray, scale: float, shift: int) -> None:
    one, other = robust_scores(features), robust_scores(features * scale + shift)
    assert other == pytest.approx(one, abs=1e-9)


@given(codes=st.permutations([0, 0, 0, 0, 1, 1, 1, 2, 2, 3]), seed=st.integers(0, 99))
def test_silhouettes_are_those_of_the_definition(codes: list[int], seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(10, 2))
    distances = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    expected = silhouette_samples(points, codes)
    assert silhouettes(distances, np.array(codes)) == pytest.approx(expected, abs=1e-9)


def two_batches(shift: float, *, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(60, 5))
    features[30:, 2] += shift
    return robust_scores(features), ["A"] * 30 + ["B"] * 30


def test_a_planted_batch_effect_is_found_and_named() -> None:
    found = batch_effect(*two_batches(4.0), permutations=99)
    assert found is not None
    assert found.p_value == pytest.approx(0.01)
    assert found.silhouette > found.highest_by_chance > found.expected
    assert found.between.argmax() == 2
    assert found.between[2] > 0.6
    assert found.between_p[2] == pytest.approx(0.01)
    assert (found.between_p[[0, 1, 3, 4]] > 0.05).all()
    assert set(found.groups) == set(found.sizes) == {"A", "B"}
    assert "1 of 5 features alone differ" in found.words


def test_no_batch_effect_is_called_none() -> None:
    values = [batch_effect(*two_batches(0.0, seed=seed), permutations=49) for seed in range(10)]
    assert sum(one.p_value <= 0.05 for one in values if one) <= 2
    assert any("show no batch effect" in one.words for one in values if one)


def test_batches_too_small_to_compare_are_left_out() -> None:
    scores, _ = two_batches(0.0)
    assert batch_effect(scores, ["A"] * 59 + ["B"], permutations=9) is None
    assert batch_effect(scores, [""] * 60, permutations=9) is None
    found = batch_effect(scores, ["A"] * 29 + ["B"] * 29 + ["C", ""], permutations=9)
    assert found is not None
    assert (found.sizes, found.slides) == ({"A": 29, "B": 29}, 58)


def test_shares_of_variance_of_literal_columns() -> None:
    points = np.array([[0.0, 1, 5], [0, -1, 5], [2, 1, 5], [2, -1, 5]])
    assert shares_between(points, np.array([0, 0, 1, 1])) == pytest.approx([1, 0, 0])


def test_a_map_of_components_keeps_the_widest_direction() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(50, 4)) * [0.2, 3, 0.2, 0.2]
    made = embed(features)
    assert abs(np.corrcoef(made.points[:, 0], np.clip(features[:, 1], -5, 5))[0, 1]) > 0.99
    assert (embed(features).points == made.points).all()
    assert "%" in made.words
    with pytest.raises(InputError, match="at least 3"):
        embed(features[:2])
    assert embed(np.zeros((4, 1))).points.tolist() == [[0, 0]] * 4


def test_the_isolation_forest_names_the_one_that_lies_apart() -> None:
    scores = np.random.default_rng(0).normal(size=(80, 4))
    scores[17] = 5
    assert int(isolation(scores).argmax()) == 17
    assert isolation(scores[:1]).tolist() == [0.5]


def test_limits_of_a_literal_series() -> None:
    chart = individuals_chart([0.5, 0.6, 0.5, 0.6, 0.5, 0.6, 0.5, 0.9])
    centre, moving = 4.7 / 8, (0.1 * 6 + 0.4) / 7
    assert chart.centre == pytest.approx(centre)
    assert chart.high[0] == pytest.approx(centre + 2.66 * moving)
    assert chart.signals == ()
    assert individuals_chart([0.5] * 8 + [0.9]).signals == (7, 8)
    assert individuals_chart([0.40, 0.45] * 4 + [0.60, 0.65] * 4).signals == (7, 15), "eight in a row on one side"
    few = individuals_chart([0.5, 0.9])
    assert np.isnan(few.low).all()
    assert few.signals == ()


def test_limits_of_shares_widen_for_small_days() -> None:
    chart = share_chart([1, 1, 1, 1, 1, 1, 1, 10], [10, 10, 10, 10, 10, 10, 10, 20])
    assert chart.centre == pytest.approx(17 / 90)
    assert chart.high[0] - chart.centre == pytest.approx(3 * np.sqrt(17 / 90 * 73 / 90 / 10))
    assert chart.high[7] < chart.high[0]
    assert chart.signals == (7,)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Twelve days of four slides on two scanners; the last day is out of focus, and one slide has pen."""
    settings = Settings(home=tmp_path_factory.mktemp("cohort") / "home")
    people(settings)
    for day in range(12):
        blur = 0.4 if day == 11 else 0.01 * (day % 3)
        for place, scanner in enumerate(("P", "Q")):
            reports = {
                f"{scanner}{day:02}{twin}": report_of(
                    {"out_of_focus": blur, "pen": 0.3 if (day, place, twin) == (4, 0, 0) else 0.0},
                    amounts=(1.0 + 0.4 * place + 0.01 * day, 0.8 + 0.001 * twin),
                    measures={"brightness": 0.7},
                    disposition=QcDisposition.RESCAN if day == 11 else QcDisposition.ACCEPT,
                )
                for twin in range(2)
            }
            measured_many(settings, reports, scanner=scanner, site="north", added_at=DAY + timedelta(days=day))
    return settings


@pytest.fixture
def home(filled: Settings, settings: Settings) -> Settings:
    """A copy of it that a test may change."""
    shutil.copytree(filled.home, settings.home)
    return settings


def test_the_cohort_shows_the_odd_slide_and_the_scanner(home: Settings) -> None:
    add_slide(home, "bare")
    found = cohort_view(home, actor="vic", permutations=49)
    assert found.values.shape == (48, len(found.features))
    assert found.unmeasured == 1
    names = [one.name for one in found.features]
    assert {"fraction_pen", "stain_1_amount", "stain_2_g", "measure_brightness", "usable_fraction"} <= set(names)
    assert all(one.title for one in found.features)
    odd = {one.slide_id: one.reasons for one in found.outliers}
    assert odd["P040"][0][0] in ("fraction_pen", "usable_fraction")
    assert {"P110", "P111", "Q110", "Q111"} <= set(odd)
    assert found.effect is not None
    assert found.effect.p_value <= 0.05
    assert found.separating[0][0] == "stain_1_amount"
    assert found.embedding is not None
    assert found.embedding.points.shape == (48, 2)
    other = cohort_view(home, actor="vic", batch="site", permutations=9)
    assert other.effect is None, "there is one site"
    assert set(other.batches) == {"north"}


def test_a_cohort_of_few_or_none_is_no_error(settings: Settings) -> None:
    people(settings)
    found = cohort_view(settings, actor="vic")
    assert (found.slides, found.outliers, found.embedding, found.effect) == ((), (), None, None)
    measured_many(settings, {"a": report_of()})
    found = cohort_view(settings, actor="vic", method="tsne")
    assert (len(found.slides), found.embedding, found.effect) == (1, None, None)
    measured_many(settings, {name: report_of() for name in "bcd"})
    embedding = cohort_view(settings, actor="vic", method="tsne").embedding
    assert embedding is not None
    assert (embedding.method, "t-SNE is made of 5" in embedding.words) == ("pca", True)


def test_neighbours_are_kept_by_tsne(filled: Settings) -> None:
    found = cohort_view(filled, actor="vic", method="tsne", permutations=9, query=QualityQuery(scanners=("P",)))
    assert found.embedding is not None
    assert found.embedding.method == "tsne"
    assert found.embedding.points.shape == (24, 2)


def test_a_bad_day_is_a_signal(filled: Settings) -> None:
    found = quality_trends(filled, by="day", actor="vic")
    assert [point.group for point in found.points][::11] == ["2030-01-01", "2030-01-12"]
    last = found.points[-1]
    assert (last.slides, last.parts["out_of_focus"].median) == (4, pytest.approx(0.4))
    assert found.score_limits is not None
    assert 11 in found.score_limits.signals
    assert 11 in found.class_limits["out_of_focus"].signals
    assert found.class_limits["fold"].signals == ()
    assert last.suggested_not_accepted.value == 1.0
    assert found.suggested_limits is not None
    assert 11 in found.suggested_limits.signals


@pytest.mark.parametrize(
    ("by", "groups"),
    [("scanner", ["P", "Q"]), ("stain", ["he"]), ("site", ["north"]), ("month", ["2030-01"]), ("week", 2)],
)
def test_trends_by_other_groups(filled: Settings, by, groups: list[str] | int) -> None:
    found = quality_trends(filled, by=by, actor="vic")
    names = [point.group for point in found.points]
    assert names == groups if isinstance(groups, list) else len(names) == groups
    assert sum(point.slides for point in found.points) == 48
    assert (found.score_limits is None) == (by in ("scanner", "stain", "site"))


def test_hidden_verdicts_are_in_no_trend(home: Settings) -> None:
    verdict = NewQcVerdict(disposition=QcDisposition.RESCAN, reason=QcReason.OUT_OF_FOCUS)
    judge(home, "P110", verdict, actor="quentin")
    ask_second_reads(home, ["P110"], reader="quinn", actor="quentin")
    shares = {name: quality_trends(home, by="scanner", actor=name) for name in ("quinn", "quirin")}
    assert shares["quirin"].points[0].not_accepted.count == 1
    assert shares["quinn"].points[0].not_accepted.of == 0
    assert (shares["quinn"].hidden, shares["quirin"].hidden) == (1, 0)


def test_the_table_sorts_by_any_part(settings: Settings) -> None:
    people(settings)
    measured_many(settings, {"a": report_of({"pen": 0.2, "fold": 0.1}), "b": report_of({"stain": 0.3})}, scanner="P")
    add_slide(settings, "bare")

    def order(sort: str, *, descending: bool) -> list[str]:
        query = QualityQuery(sort=sort, descending=descending)
        return [row.entry.slide_id for row in quality_table(settings, actor="vic", query=query).rows]

    for sort in SORTS:
        assert sorted(order(sort, descending=True)) == ["a", "b", "bare"], sort
    assert order("fraction_pen", descending=True) == ["a", "b", "bare"]
    assert order("fraction_pen", descending=False) == ["b", "a", "bare"], "what is not measured comes last"
    assert order("slide", descending=True) == ["bare", "b", "a"]


def test_the_table_filters_counts_and_pages(home: Settings) -> None:
    bare = add_slide(home, "bare")
    one = quality_table(home, actor="vic", query=QualityQuery(scanners=("P",), sort="slide"), offset=20, limit=10)
    assert (one.total, len(one.rows), one.rows[0].entry.slide_id) == (24, 4, "P100")
    assert one.facets["scanner"] == {"": 1, "P": 24, "Q": 24}, "a filter does not narrow its own counts"
    assert one.facets["site"] == {"north": 24}
    pen = quality_table(home, actor="vic", query=QualityQuery(artefact="pen", at_least=0.1))
    assert [row.entry.slide_id for row in pen.rows] == ["P040"]
    assert pen.rows[0].report is not None
    assert pen.rows[0].report.stain.names == ("haematoxylin", "eosin")
    days = QualityQuery(start=DAY + timedelta(days=3), end=DAY + timedelta(days=5))
    assert quality_table(home, actor="vic", query=days).total == 8
    assert quality_table(home, actor="vic", query=QualityQuery(text="q11")).total == 2
    unmeasured = quality_table(home, actor="vic", query=QualityQuery(dispositions=(UNMEASURED,)))
    assert [row.entry.slide_id for row in unmeasured.rows] == [bare]
    assert quality_table(home, actor="vic", query=QualityQuery(text="' OR 1=1 --")).total == 0
    for offset, limit in ((-1, 10), (0, 0), (0, 1001)):
        with pytest.raises(InputError, match="cannot be shown"):
            quality_table(home, actor="vic", offset=offset, limit=limit)


@pytest.mark.parametrize("bad", [{"sort": "colour"}, {"artefact": "clean"}, {"start": datetime(2030, 1, 1)}])  # noqa: DTZ001
def test_a_query_that_makes_no_sense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        QualityQuery(**bad)

"""Which aggregation still finds disease that fills 1 % of the tissue? Phantom slides with a planted, known fraction.

Run from the project's root: `python benchmarks/focal_disease.py`. Renders slides without lesion and with one lesion of
1, 5 and 20 % of the tissue, analyses them as the product does, trains the four aggregators on one part and measures all
rules on slides of the other. Lesions are of one kind that the tile model recognises where it fills a tile, and benign
tissue varies, without glands: the tile model takes some phantom glands for tumour, and what is tested is the
aggregation (`--glands 0.5` adds them). `--folder` keeps slides and results between runs. Phantoms say nothing about
clinical accuracy.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from core.aggregation import Aggregation
from core.domain import Size, SlideStatus, Stain
from core.phantom import GrowthPattern, Lesion, PhantomSpec, TissueMix, write_phantom
from core.phantom.cases import SCANNERS
from core.phantom.tissue_layout import empty_plan
from core.services import catalogue
from core.services.analysis import analyse
from core.services.analysis.aggregators import apply_active, load_active, target_of
from core.services.analysis.deciding import rule_score
from core.services.analysis.run_files import RunFolder
from core.services.catalogue import SlideRequest
from core.services.training.aggregator_training import TrainingRequest, train_aggregator
from core.settings import Settings
from core.store.records import RunRecord
from models.aggregators.cards import read_aggregator_card
from models.cards import load_card

ACTOR = "benchmark (command line)"
MPP = 4.0
"""um/px of the slides: that of the tile model, so that no pixel is rendered only to be averaged away."""
FRACTIONS = (0.01, 0.05, 0.20)
"""Share of the tissue that the lesion fills."""
SPECIFICITY = 0.9
"""Of the benign training slides, this share lies below the threshold of a rule without training."""
KINDS = ("logistic", "svm", "forest", "abmil")


@dataclass(frozen=True, slots=True)
class Phantom:
    """One slide of the cohort."""

    name: str
    part: str
    """train | test"""
    fraction: float
    seed: int
    glands: float
    """Ducts and lobules per mm2."""

    @property
    def spec(self) -> PhantomSpec:
        """What is rendered: benign tissue drawn from the seed, and the lesion of exactly the wanted area."""
        rng = np.random.default_rng([self.seed, 77])
        mix = TissueMix(
            fat=float(rng.uniform(0.1, 0.5)),
            ducts_per_mm2=self.glands,
            lobules_per_mm2=self.glands,
            aggregates_per_mm2=float(rng.uniform(0.1, 0.5)),
            cellularity=float(rng.uniform(0.7, 1.4)),
        )
        scanner = SCANNERS[int(rng.integers(len(SCANNERS)))]
        spec = PhantomSpec(self.seed, Size(1300, 1000), mpp=MPP, tissue=mix, scanner=scanner)
        if self.fraction == 0:
            return spec
        diameter_um = 2000 * math.sqrt(self.fraction * empty_plan(spec).tissue_mm2 / math.pi)
        lesion = Lesion(diameter_um, GrowthPattern.SOLID, grade=3, density=0.7)
        return replace(spec, lesions=(lesion,))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="Keeps slides, home and results.")
    parser.add_argument("--train", type=int, default=24, help="Training slides without lesion, and as many with one.")
    parser.add_argument("--test", type=int, default=16, help="Test slides without lesion, and of every fraction.")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--glands", type=float, default=0.0, help="Ducts and lobules per mm2 of benign tissue.")
    parser.add_argument("--processes", type=int, default=1, help="That render.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        cohort = plan_cohort(options.train, options.test, seed=options.seed, glands=options.glands)
        render(cohort, folder / "slides", processes=options.processes)
        settings = Settings(home=(folder / "home").absolute(), device="cpu")
        runs = analyse_all(settings, cohort, folder / "slides")
        scores = score_all(settings, cohort, runs, folder)
        report(cohort, scores, settings)


def plan_cohort(train: int, test: int, *, seed: int, glands: float) -> list[Phantom]:
    """Training slides with a lesion take the fractions in turn; no seed is used twice."""
    fractions = [0.0] * train + [FRACTIONS[number % len(FRACTIONS)] for number in range(train)]
    planned = [("train", fraction) for fraction in fractions]
    planned += [("test", fraction) for fraction in (0.0, *FRACTIONS) for _ in range(test)]
    return [
        Phantom(f"{part}-{number:03d}", part, fraction, seed + number, glands)
        for number, (part, fraction) in enumerate(planned)
    ]


def render(cohort: Sequence[Phantom], folder: Path, *, processes: int) -> None:
    """Write the slides that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [(phantom, folder) for phantom in cohort if not (folder / f"{phantom.name}.json").exists()]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(render_one, missing):
            pass


def render_one(job: tuple[Phantom, Path]) -> None:
    """Write one slide, and beside it the fraction that was really planted."""
    phantom, folder = job
    with threadpool_limits(1):
        spec = phantom.spec
        truth = write_phantom(spec, folder / f"{phantom.name}.tif")
        area = sum(region.area_mm2 for region in truth.lesions)
        planted = area / empty_plan(spec).tissue_mm2
    (folder / f"{phantom.name}.json").write_text(json.dumps({"planted_fraction": planted}))


def analyse_all(settings: Settings, cohort: Sequence[Phantom], folder: Path) -> dict[str, RunRecord]:
    """Analyse every slide once."""
    requests = [SlideRequest(folder / f"{phantom.name}.tif", phantom.name, stain=Stain.HE) for phantom in cohort]
    catalogue.add_slides(settings, requests, actor=ACTOR)
    runs: dict[str, RunRecord] = {}
    for phantom in cohort:
        earlier = catalogue.slide_runs(settings, phantom.name)
        run = earlier[0] if earlier else analyse.analyse_and_record(settings, phantom.name, actor=ACTOR)
        if run.status is not SlideStatus.OK:
            raise SystemExit(f"{phantom.name}: {run.message}")
        runs[phantom.name] = run
    return runs


def score_all(
    settings: Settings, cohort: Sequence[Phantom], runs: Mapping[str, RunRecord], folder: Path
) -> dict[str, dict[str, float]]:
    """Return slide -> rule -> score, of the rules without training and of the four trained ones."""
    labels = folder / "labels.csv"
    with labels.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("slide_id", "label"))
        writer.writerows((phantom.name, int(phantom.fraction > 0)) for phantom in cohort if phantom.part == "train")
    for kind in KINDS:
        if not (settings.aggregators_dir / kind / f"{kind}.toml").exists():
            request = TrainingRequest(
                kind=kind,
                name=kind,
                labels=str(labels),
                model=settings.model,
                few_slides_accepted=True,
                resume=True,
                command="benchmarks/focal_disease.py",
            )
            train_aggregator(settings, request)
    card = load_card(settings.model)
    using = replace(settings, aggregators=KINDS)
    active = load_active(using, card)
    found: dict[str, dict[str, float]] = {}
    for phantom in cohort:
        run = runs[phantom.name]
        tiles = RunFolder.of(settings, phantom.name, run.run_id).read_tiles()
        target, saliency = target_of(card, tiles), tiles["saliency"].to_numpy(np.float32)
        found[phantom.name] = {rule.value: rule_score(rule, target, saliency=saliency) for rule in Aggregation}
        trained = apply_active(using, run, card, active).scores
        found[phantom.name] |= {one.card.name: trained[one.card.name][one.card.target] for one in active.usable}
    return found


def report(cohort: Sequence[Phantom], scores: Mapping[str, Mapping[str, float]], settings: Settings) -> None:
    """Print the table."""
    test = {fraction: [p.name for p in cohort if (p.part, p.fraction) == ("test", fraction)] for fraction in _all()}
    benign = [p.name for p in cohort if (p.part, p.fraction) == ("train", 0.0)]
    sizes = {fraction: len(names) for fraction, names in test.items()}
    print(f"Test slides by lesion fraction: {', '.join(f'{f:.0%}: n = {n}' for f, n in sizes.items())}")
    print("AUC against the test slides without lesion | sensitivity at the threshold, by fraction; specificity.\n")
    print("| rule | threshold | " + " | ".join(f"{f:.0%}: AUC, sens." for f in FRACTIONS) + " | specificity |")
    print("|---|---|" + "---|" * (len(FRACTIONS) + 1))
    for rule in (*[rule.value for rule in Aggregation], *KINDS):

        def of(names: Sequence[str], rule: str = rule) -> np.ndarray:
            return np.array([scores[name][rule] for name in names])

        if rule in KINDS:
            threshold = read_aggregator_card(settings.aggregators_dir / rule / f"{rule}.toml").threshold
        else:
            threshold = float(np.quantile(of(benign), SPECIFICITY))
        cells = []
        for fraction in FRACTIONS:
            values = np.concatenate([of(test[0.0]), of(test[fraction])])
            truth = np.repeat([False, True], [len(test[0.0]), len(test[fraction])])
            cells.append(f"{roc_auc_score(truth, values):.2f}, {(of(test[fraction]) > threshold).mean():.2f}")
        specificity = (of(test[0.0]) <= threshold).mean()
        print(f"| {rule} | {threshold:.3f} | {' | '.join(cells)} | {specificity:.2f} |")
    most = max(scores[name]["majority"] for name in test[0.01])
    print(f"\nHighest share of tiles that vote for the lesion on a slide of 1 %: {most:.3f}; a majority is 0.5.")


def _all() -> tuple[float, ...]:
    return (0.0, *FRACTIONS)


if __name__ == "__main__":
    main()

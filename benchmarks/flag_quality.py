"""Which reads would another look have changed? How well a model's probabilities rank them, on real reads.

Run from the project's root: `python benchmarks/flag_quality.py`. The table is `prostate/readers.csv` of Olsson et al.
2022: 87 biopsies graded by 14 uropathologists, with the model's probabilities. A read counts as discordant if it
differs from what most of the OTHER readers gave; reads whose other readers are tied are left out. Calibration is
cross-validated by case (10 folds, 10 times): no read of a case ever helps to score that case. Intervals draw cases.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.agreement.profiles import consensus_of_others
from core.agreement.table import MISSING, ReadTable
from core.interop.csv_table import CsvTable, read_csv
from core.interop.reads_layout import reader_columns
from core.schemes import load_scheme
from core.triage import triage_curve
from core.uncertainty.disagreement import (
    ReadersCalibration,
    difference_loss,
    distance_loss,
    expected_loss,
    fit_readers,
    normalised,
    severity_loss,
    shares_of_readers,
)

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SECOND_READ_TEST_DATA", PROJECT.parent / "shared" / "data"))
FOLDS, REPEATS = 10, 10
FLAG_RATES = (0.1, 0.2, 0.3)
SCHEME = load_scheme("isup")


@dataclass(frozen=True, slots=True, eq=False)
class Reads:
    """Every read with a consensus of the others, and what the model said about its case."""

    scores: NDArray[np.float64]
    """(cases, grades) as the model gave them."""
    votes: NDArray[np.float64]
    """(cases, grades) reads."""
    case: NDArray[np.intp]
    """Case of each read."""
    grade: NDArray[np.intp]
    others: NDArray[np.intp]
    """Consensus of the other readers."""


def load(path: Path) -> Reads:
    """Read the table; every reader's column is found by its name."""
    table = read_csv(path)
    readers = reader_columns(table, case="biopsy")
    codes = np.array([[SCHEME.codes.index(cell) for cell in table.column(name)] for name in readers], np.intp).T
    reads = ReadTable(table.column("biopsy"), readers, SCHEME.codes, codes)
    others = consensus_of_others(reads)
    case, reader = np.nonzero(others != MISSING)
    return Reads(_scores(table), reads.counts(), case, codes[case, reader], others[case, reader])


def _scores(table: CsvTable) -> NDArray[np.float64]:
    return np.array([[float(cell) for cell in table.column(f"X{grade}")] for grade in SCHEME.codes]).T


def scores_of(reads: Reads, *, loss: NDArray[np.float64] | None, calibrated: bool, seed: int) -> NDArray[np.float64]:
    """Return the score of every read; `loss` None is the raw 1 - p of the grade that was read."""
    if loss is None:
        return 1 - reads.scores[reads.case, reads.grade]
    fold = np.random.default_rng(seed).permutation(len(reads.scores)) % FOLDS
    found = np.empty(len(reads.case))
    for held_out in range(FOLDS):
        known, chosen = fold != held_out, fold[reads.case] == held_out
        fitted = (
            fit_readers(normalised(reads.scores[known]), reads.votes[known])
            if calibrated
            else ReadersCalibration((0.0,) * len(SCHEME.codes))
        )
        shares = shares_of_readers(reads.scores, fitted)
        found[chosen] = expected_loss(shares[reads.case[chosen]], reads.grade[chosen], loss=loss)
    return found


def gain(reads: Reads, target: NDArray[np.bool_], first: NDArray[np.float64], second: NDArray[np.float64]) -> str:
    """Return the gain in AUC of the second score over the first with its interval over cases."""
    random = np.random.default_rng(0)
    by_case = [np.flatnonzero(reads.case == case) for case in np.unique(reads.case)]
    drawn: list[float] = []
    for _ in range(500):
        rows = np.concatenate([by_case[case] for case in random.integers(len(by_case), size=len(by_case))])
        drawn.append(roc_auc_score(target[rows], second[rows]) - roc_auc_score(target[rows], first[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{np.mean(drawn):+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=DATA / "prostate" / "readers.csv")
    reads = load(parser.parse_args().table)
    size = len(SCHEME.codes)
    steps = np.abs(reads.grade - reads.others)
    targets = {
        "any difference": steps > 0,
        "2 steps or more": steps > 1,
        "major (ISUP scheme)": severity_loss(SCHEME)[reads.grade, reads.others] == 2,
    }
    rules: dict[str, tuple[NDArray[np.float64] | None, bool]] = {
        "1 - p, raw": (None, False),
        "1 - p, calibrated": (difference_loss(size), True),
        "expected steps": (distance_loss(size), False),
        "expected steps, calibrated": (distance_loss(size), True),
        "P(2 steps or more), calibrated": ((distance_loss(size) > 1).astype(np.float64), True),
        "expected severity": (severity_loss(SCHEME), False),
        "expected severity, calibrated": (severity_loss(SCHEME), True),
    }
    runs = {
        name: [scores_of(reads, loss=loss, calibrated=fit, seed=seed) for seed in range(REPEATS if fit else 1)]
        for name, (loss, fit) in rules.items()
    }
    print(f"{len(reads.case)} reads of {len(reads.scores)} biopsies with a consensus of the other readers")
    for title, target in targets.items():
        print(f"\n{title}: {target.mean():.1%} of reads")
        header = "".join(f"  catch {rate:.0%}  yield {rate:.0%}" for rate in FLAG_RATES)
        print(f"  {'score':32}    AUC{header}  gain in AUC over raw")
        for name, scores in runs.items():
            _print_row(reads, name, scores, target, raw=runs["1 - p, raw"][0])


def _print_row(
    reads: Reads, name: str, scores: list[NDArray[np.float64]], target: NDArray[np.bool_], *, raw: NDArray[np.float64]
) -> None:
    auc = np.mean([roc_auc_score(target, one) for one in scores])
    curves = [triage_curve(one, target, flag_rates=FLAG_RATES) for one in scores]
    cells = "".join(
        f"{np.mean([curve[i].sensitivity.value for curve in curves]):11.1%}"
        f"{np.mean([curve[i].yield_.value for curve in curves]):11.1%}"
        for i in range(len(FLAG_RATES))
    )
    print(f"  {name:32} {auc:.4f}{cells}  {gain(reads, target, raw, scores[0]) if scores[0] is not raw else ''}")


if __name__ == "__main__":
    main()

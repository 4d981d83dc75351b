"""Figures of others to stand beside a department's own agreement, each with its source.

Those marked as computed come from tables that their authors published, put through this program's own statistics; the
suite computes them again wherever the tables are at hand.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """Agreement in a published table of reads, computed by this program."""

    title: str
    readers: int
    cases: int
    fleiss_kappa: float
    ac1: float
    mean_kappa_quadratic: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """A figure as its authors state it."""

    title: str
    figure: str
    source: str
    compare_with: str = ""
    """Name of our own statistic that it is to be read beside; empty = none."""


_CSERNI = "Cserni et al., Pathol Res Pract 2022;229:153718, published table"
_STEINER = "Steiner et al., JAMA Netw Open 2020, figure 2D, published table"

PUBLISHED_TABLES: tuple[PublishedTable, ...] = (
    PublishedTable(
        title="Breast, Nottingham grade",
        readers=9,
        cases=70,
        fleiss_kappa=0.572,
        ac1=0.590,
        mean_kappa_quadratic=0.726,
        source=_CSERNI,
    ),
    PublishedTable(
        title="Breast, tubule formation",
        readers=9,
        cases=70,
        fleiss_kappa=0.595,
        ac1=0.719,
        mean_kappa_quadratic=0.734,
        source=_CSERNI,
    ),
    PublishedTable(
        title="Breast, nuclear pleomorphism",
        readers=9,
        cases=70,
        fleiss_kappa=0.393,
        ac1=0.532,
        mean_kappa_quadratic=0.539,
        source=_CSERNI,
    ),
    PublishedTable(
        title="Breast, mitotic count",
        readers=9,
        cases=70,
        fleiss_kappa=0.487,
        ac1=0.593,
        mean_kappa_quadratic=0.685,
        source=_CSERNI,
    ),
    PublishedTable(
        title="Prostate, grade group, unassisted",
        readers=20,
        cases=160,
        fleiss_kappa=0.542,
        ac1=0.667,
        mean_kappa_quadratic=0.619,
        source=_STEINER,
    ),
    PublishedTable(
        title="Prostate, grade group, with a model's assistance",
        readers=20,
        cases=160,
        fleiss_kappa=0.694,
        ac1=0.790,
        mean_kappa_quadratic=0.722,
        source=_STEINER,
    ),
    PublishedTable(
        title="Prostate, grade group, uropathologists",
        readers=14,
        cases=87,
        fleiss_kappa=0.478,
        ac1=0.511,
        mean_kappa_quadratic=0.810,
        source="Olsson et al., Nat Commun 2022;13:7761, published table",
    ),
)
"""Agreement of readers that was computed by this program from published tables, over the categories that occur."""

PUBLISHED_FIGURES: tuple[PublishedFigure, ...] = (
    PublishedFigure(
        title="Reads that were right and became wrong with the model",
        figure="7 %",
        source="Rosbach 2026, abstract",
        compare_with="automation_bias",
    ),
    PublishedFigure(
        title="Misclassified breast biopsies, one reader and with a second opinion",
        figure="24.7 % and 18.1 %",
        source="Elmore 2016",
    ),
    PublishedFigure(
        title="Pathologists who settle a split by a third opinion",
        figure="60 %",
        source="Geller 2014",
    ),
    PublishedFigure(
        title="AC1 on whether a slide is usable, before and after curation with HistoQC",
        figure=".43 to .59, then .79 to .93",
        source="Chen et al., J Pathol 2021, 1,814 slides",
    ),
    PublishedFigure(
        title="Major and minor discordance on second review",
        figure="2.3 % and 9.0 % (n 5,629); 2.2 % and 12.0 % (n 8,191); major 0.6 % (n 71,811)",
        source="Manion 2008; Moffitt; Mayo. See Reports",
    ),
)
"""Figures of others. A second opinion is not the truth: of Mayo's revised diagnoses 15.1 % were not confirmed."""

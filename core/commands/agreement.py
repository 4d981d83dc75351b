"""`second-read agreement`: how far the readers of a table agree, and the model with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from core.schemes import Scheme
    from core.services.agreement import FileAgreement


@click.command("agreement")
@click.argument("reads", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--id", "case", default="case", show_default=True, help="Column with the case.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "wide", "long"]),
    default="auto",
    show_default=True,
    help="wide: a row a case, a column a reader. long: a row a read.",
)
@click.option("--readers", help="Wide: columns of the readers, with commas. [default: found by their names and values]")
@click.option("--model", help="Wide: column of the model's category. Long: name of the model among the readers.")
@click.option("--reader", help="Long: column with the reader.")
@click.option("--category", help="Long: column with the result.")
@click.option("--confidence", help="Long: column with the confidence, 1 to 5.")
@click.option("--stage", help="Long: column with before_model or after_model.")
@click.option("--reference", help="Reader who stands for the truth in before against after.")
@click.option("--scheme", help="Reading scheme: the name of a shipped one, or a TOML file.")
@click.option("--categories", help="Categories from least to most severe, with commas.")
@click.option("--bins", help="Edges that turn numbers into categories, e.g. 10,40.")
@click.option("--positive-from", help="First category that counts as positive.")
@click.option(
    "--duplicates",
    type=click.Choice(["refuse", "first", "last"]),
    default="refuse",
    show_default=True,
    help="Which read counts where one reader read a case twice with different results.",
)
@click.option("--replicates", type=click.IntRange(100, 100_000), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the bootstrap over cases.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with everything.")
def command(
    reads: Path,
    *,
    case: str,
    layout: str,
    readers: str | None,
    model: str | None,
    reader: str | None,
    category: str | None,
    confidence: str | None,
    stage: str | None,
    reference: str | None,
    scheme: str | None,
    categories: str | None,
    bins: str | None,
    positive_from: str | None,
    duplicates: str,
    replicates: int,
    seed: int,
    as_json: bool,
) -> None:
    """Agreement of the readers of READS (CSV): Po, kappas, AC1, alpha, with intervals over cases.

    Tables may be wide (a column a reader) or long (a row a read), categories numbers or words. Words have an order
    only with --scheme or --categories. Numbers of many values stay numbers: interval alpha and intraclass correlation.
    """
    from core.agreement.estimates import Bootstrap
    from core.interop.reads_layout import Layout, ReadsMapping
    from core.services.agreement import agreement_of_file
    from core.services.read_tables import AgreementRequest, Duplicates

    request = AgreementRequest(
        mapping=ReadsMapping(
            case=case,
            layout=Layout(layout),
            readers=_words(readers),
            model=model,
            reader=reader,
            category=category,
            confidence=confidence,
            stage=stage,
        ),
        scheme=_scheme(scheme),
        categories=_words(categories) or None,
        bins=_numbers(bins),
        positive_from=positive_from,
        reference=reference,
        duplicates=Duplicates(duplicates),
        bootstrap=Bootstrap(replicates=replicates, seed=seed),
    )
    found = agreement_of_file(reads, request)
    click.echo(json.dumps(found.to_dict()) if as_json else _sentences(found))


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in _words(text))
    except ValueError as err:
        raise click.BadParameter("edges are numbers with commas between, e.g. 10,40", param_hint="--bins") from err


def _scheme(text: str | None) -> Scheme | None:
    from core.schemes import load_scheme, read_scheme

    if text is None:
        return None
    return read_scheme(Path(text)) if text.endswith(".toml") else load_scheme(text)


def _sentences(found: FileAgreement) -> str:
    facts = found.to_dict()
    lines = [
        f"{found.file}: {facts['n_cases']} cases, {facts['n_readers']} readers, {facts['n_missing']} reads missing "
        f"({found.parsed.layout.value} table)"
    ]
    for name, estimate in found.overall.items():
        if estimate.value is None:
            lines.append(f"  {name:22} -      {estimate.reason}")
        elif estimate.low is None or estimate.high is None:
            lines.append(f"  {name:22} {estimate.value:.3f}  {estimate.reason}")
        else:
            lines.append(f"  {name:22} {estimate.value:.3f}  ({estimate.low:.3f} to {estimate.high:.3f})")
    lines.append(f"Intervals: {facts['intervals']}.")
    return "\n".join(lines)

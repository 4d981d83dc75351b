"""`second-read agreement`: how far the readers of a table agree, and the model with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.commands import reads_options as options

if TYPE_CHECKING:
    from core.services.agreement.of_file import FileAgreement


@click.command("agreement")
@click.argument("reads", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.case_option
@options.layout_option
@options.readers_option
@click.option("--model", help="Wide: column of the model's category. Long: name of the model among the readers.")
@options.reader_option
@options.category_option
@options.confidence_option
@options.stage_option
@click.option("--reference", help="Reader who stands for the truth in before against after.")
@options.scheme_option
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
@options.json_option
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
    from core.services.agreement.of_file import agreement_of_file
    from core.services.agreement.read_tables import AgreementRequest, Duplicates

    request = AgreementRequest(
        mapping=ReadsMapping(
            case=case,
            layout=Layout(layout),
            readers=options.words(readers),
            model=model,
            reader=reader,
            category=category,
            confidence=confidence,
            stage=stage,
        ),
        scheme=options.scheme_of(scheme),
        categories=options.words(categories) or None,
        bins=_numbers(bins),
        positive_from=positive_from,
        reference=reference,
        duplicates=Duplicates(duplicates),
        bootstrap=Bootstrap(replicates=replicates, seed=seed),
    )
    found = agreement_of_file(reads, request)
    click.echo(json.dumps(found.to_dict()) if as_json else _sentences(found))


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in options.words(text))
    except ValueError as err:
        raise click.BadParameter("edges are numbers with commas between, e.g. 10,40", param_hint="--bins") from err


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

"""`second-read people`: who may sign in, with which roles. The way to the first lead, and back in when all are gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.commands import FullHelpGroup
from core.commands.options import actor, home_option, settings_for
from core.errors import InputError, NotFoundError
from core.roles import Role, in_words

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.records import PersonRecord

_ROLES = click.Choice([role.value for role in Role])
name_argument: Callable[[Callable[..., None]], Callable[..., None]] = click.argument("name")
because_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--because", default="", help="Reason, for the log."
)


@click.group("people", cls=FullHelpGroup)
def command() -> None:
    """List people, add them, change their roles, and close their access."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a person.")
@home_option
def list_command(*, as_json: bool, home: Path | None) -> None:
    """Print everybody with roles, state and sessions that hold."""
    from core.services.people.people import people_overview

    rows = people_overview(settings_for(home), actor=actor())
    for row in rows:
        person = row.person
        if as_json:
            click.echo(json.dumps({**_facts(person), "open_sessions": row.open_sessions}))
        else:
            state = "" if person.active else ", access closed"
            click.echo(f"{person.log_name}: {in_words(person.roles)}{state}, open sessions: {row.open_sessions}")
    if not rows and not as_json:
        click.echo("Nobody yet. `second-read people add NAME --role lead` makes the first lead.")


@command.command("add")
@name_argument
@click.option("--role", "roles", multiple=True, type=_ROLES, help="May be given several times.")
@click.option("--email", help="Address by which the first sign-in is told; the provider must have checked it.")
@click.option("--subject", help="The provider's own name for the person, instead of an address.")
@click.option("--issuer", help="The provider's issuer, as in its metadata. [default: the configured one]")
@home_option
def add_command(
    name: str,
    *,
    roles: tuple[str, ...],
    email: str | None,
    subject: str | None,
    issuer: str | None,
    home: Path | None,
) -> None:
    """Add a person before the first sign-in. NAME is printed on signatures and never changes."""
    from core.server.auth_settings import issuer_of
    from core.services.people.people import add_person

    settings = settings_for(home)
    known = issuer or issuer_of(settings)
    person = add_person(
        settings, name, issuer=known, subject=subject, email=email, roles=[Role(role) for role in roles], actor=actor()
    )
    click.echo(f"Added {person.log_name}: {in_words(person.roles)}.")


@command.command("role")
@name_argument
@click.argument("roles", nargs=-1, required=True, type=_ROLES)
@because_option
@home_option
def role_command(name: str, *, roles: tuple[str, ...], because: str, home: Path | None) -> None:
    """Give NAME these roles and no others."""
    from core.services.people.people import change_roles

    settings = settings_for(home)
    wanted = [Role(role) for role in roles]
    person = change_roles(settings, _find(settings, name).person_id, wanted, because=because, actor=actor())
    click.echo(f"{person.log_name}: {in_words(person.roles)}.")


@command.command("revoke")
@name_argument
@click.option("--sessions-only", is_flag=True, help="End the sessions; the person may sign in again.")
@click.option("--restore", is_flag=True, help="Open the access again.")
@because_option
@home_option
def revoke_command(name: str, *, sessions_only: bool, restore: bool, because: str, home: Path | None) -> None:
    """Close the access of NAME at once, with every session. Nobody is ever deleted."""
    from core.services.people.people import set_active
    from core.services.people.sessions import revoke_everywhere

    if sessions_only and restore:
        raise InputError("Give either --sessions-only or --restore.")
    settings = settings_for(home)
    person = _find(settings, name)
    if sessions_only:
        count = revoke_everywhere(settings, person.person_id, because=because, actor=actor())
        click.echo(f"{person.log_name}: {count} sessions ended.")
        return
    set_active(settings, person.person_id, active=restore, because=because, actor=actor())
    click.echo(f"{person.log_name}: access {'open again' if restore else 'closed'}.")


def _find(settings: Settings, name: str) -> PersonRecord:
    from core.services.people.people import list_people
    from core.services.people.person_names import DEMONSTRATION_MARK
    from core.store.people import name_key

    wanted = name_key(name)
    for person in list_people(settings, actor=actor()):
        plain = person.log_name.removesuffix(DEMONSTRATION_MARK)
        if wanted in (name_key(person.log_name), name_key(plain), person.email):
            return person
    raise NotFoundError(f"Nobody is named {name!r}. `second-read people list` shows who there is.")


def _facts(person: PersonRecord) -> dict[str, object]:
    return {
        "name": person.log_name,
        "issuer": person.issuer,
        "subject": person.subject,
        "email": person.email,
        "roles": sorted(person.roles),
        "active": person.active,
        "added_at_utc": person.added_at.isoformat(),
    }

"""People, roles and sessions: what is kept, what is refused, and that every change is an event."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_kit import CLERK

from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.roles import Permission, Role
from core.services.catalogue import verify_log
from core.services.people import people, sessions
from core.services.people.person_names import person_name
from core.services.people.sessions import Identity, Standing, visit
from core.settings import Settings
from core.store.connection import open_log
from core.store.people import name_key
from core.store.records import PersonRecord, RolesFrom

ISSUER = "https://accounts.example"
NOW = datetime.now(UTC)


def add(settings: Settings, name: str, *roles: Role, subject: str | None = None) -> PersonRecord:
    return people.add_person(settings, name, issuer=ISSUER, subject=subject or name, roles=roles, actor=CLERK)


def identity(subject: str = "s1", **changes: object) -> Identity:
    values = {
        "issuer": ISSUER,
        "subject": subject,
        "session_id": f"session-{subject}",
        "signed_in_at": NOW,
        "name": f"Person {subject}",
        "email": None,
        "roles": frozenset[Role](),
    }
    return Identity(**{**values, **changes})  # type: ignore[arg-type]


def told(settings: Settings, person: PersonRecord) -> list[str]:
    return [event.action for event in people.person_history(settings, person.person_id, actor=CLERK)]


# -- people ----------------------------------------------------------------------------------------------------------


def test_a_person_is_added_and_changed_as_events(settings: Settings):
    lea = add(settings, "Lea Lead", Role.LEAD)
    ben = add(settings, "Ben", Role.VIEWER)
    changed = people.change_roles(
        settings, ben.person_id, [Role.QC, Role.PATHOLOGIST], because=" joined ", actor="Lea Lead"
    )
    assert (changed.roles, changed.roles_from) == ({Role.QC, Role.PATHOLOGIST}, RolesFrom.HAND)
    first, second = people.person_history(settings, ben.person_id, actor="Lea Lead")
    assert (first.action, first.actor, first.payload["roles"]) == ("person.added", CLERK, ["viewer"])
    assert (second.action, second.actor, second.payload["because"]) == ("person.changed", "Lea Lead", "joined")
    assert second.payload["old"]["roles"] == ["viewer"]  # type: ignore[index]
    assert second.payload["new"]["roles"] == ["pathologist", "qc"]  # type: ignore[index]
    assert [person.log_name for person in people.people_who_may(settings, Permission.OPERATE)] == ["Ben", "Lea Lead"]
    assert told(settings, lea) == ["person.added"]
    assert verify_log(settings).ok


def test_the_same_roles_again_are_no_event(settings: Settings):
    ben = add(settings, "Ben", Role.VIEWER)
    people.change_roles(settings, ben.person_id, [Role.VIEWER], actor=CLERK)
    assert told(settings, ben) == ["person.added"]


@pytest.mark.parametrize(
    "name",
    ["ben", " BEN ", "\uff22\uff45\uff4e", "BEN"],
)
def test_a_name_that_reads_the_same_is_taken(settings: Settings, name: str):
    add(settings, "Ben", Role.VIEWER)
    with pytest.raises(ConflictError, match="named"):
        add(settings, name, Role.VIEWER, subject="other")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "a\x00b",
        "x" * 61,
        "system",
        "SYSTEM",
        "root (command line)",
        "eve (Command  Line)",
        "Al (demonstration)",
    ],
)
def test_names_that_would_read_as_another_kind_of_actor_are_refused(settings: Settings, name: str):
    with pytest.raises(InputError, match="cannot be a person's name"):
        add(settings, name, Role.LEAD, subject="x")


@given(name=st.text(min_size=1, max_size=70))
def test_no_name_makes_a_person_into_another_kind_of_actor(name: str):
    from core.services.people.authority import ActorKind, kind_of

    found = person_name(name)
    assert found is None or (kind_of(found) is ActorKind.PERSON and name_key(found) != "system")


def test_a_person_needs_something_to_be_known_by(settings: Settings):
    with pytest.raises(InputError, match="e-mail address or the subject"):
        people.add_person(settings, "Ben", issuer=ISSUER, roles=[], actor=CLERK)
    for email in ("ben", "ben@x", "@x.org", "b en@x.org"):
        with pytest.raises(InputError, match="not an e-mail"):
            people.add_person(settings, "Ben", issuer=ISSUER, email=email, roles=[], actor=CLERK)
    people.add_person(settings, "Ben", issuer=ISSUER, email="Ben@X.org", roles=[], actor=CLERK)
    with pytest.raises(ConflictError, match="known already"):
        people.add_person(settings, "Ben 2", issuer=f"{ISSUER}/", email="ben@x.org", roles=[], actor=CLERK)


def test_an_unknown_number_is_a_sentence(settings: Settings):
    for call in (
        lambda: people.change_roles(settings, 7, [], actor=CLERK),
        lambda: people.person_history(settings, 7, actor=CLERK),
        lambda: sessions.revoke_everywhere(settings, 7, because="", actor=CLERK),
        lambda: sessions.revoke_session(settings, "7", because="", actor=CLERK),
    ):
        with pytest.raises(NotFoundError):
            call()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE people SET roles = '[\"lead\"]'", "What is kept of Ben"),
        ("UPDATE people SET active = 0", "What is kept of Ben"),
        ("UPDATE people SET email = 'eve@x.org'", "What is kept of Ben"),
        (
            "INSERT INTO people (issuer, subject, log_name, name_key, roles, roles_from, active, added_at) "
            "VALUES ('i', 's', 'Eve', 'eve', '[\"lead\"]', 'hand', 1, '2030-01-01T00:00:00.000000Z')",
            "What is kept of Eve",
        ),
        ("UPDATE sessions SET revoked_at = '2030-01-01T00:00:00.000000Z'", "ended or revived"),
        (
            "INSERT INTO sessions SELECT 'forged', person_id, started_at, seen_at, expires_at, NULL, NULL, '' "
            "FROM sessions",
            "sessions are not those",
        ),
    ],
)
def test_who_makes_himself_lead_past_the_log_is_found(settings: Settings, statement: str, words: str):
    add(settings, "Ben", Role.QC, subject="s1")
    visit(settings, identity(), hours=12)
    with open_log(settings) as database:
        database.conn.execute("UPDATE sessions SET seen_at = '2030-01-01T00:00:00.000000Z'")
    assert verify_log(settings).ok
    with open_log(settings) as database:
        database.conn.execute(statement)
    result = verify_log(settings)
    assert not result.ok
    assert words in result.message


# -- the last lead, and two at once ----------------------------------------------------------------------------------


def test_the_last_lead_stays_lead(settings: Settings):
    lea, leo = add(settings, "Lea", Role.LEAD), add(settings, "Leo", Role.LEAD)
    people.change_roles(settings, lea.person_id, [Role.VIEWER], actor="Leo")
    with pytest.raises(ConflictError, match="Leo is the last lead"):
        people.change_roles(settings, leo.person_id, [Role.VIEWER], actor="Leo")
    with pytest.raises(ConflictError, match="last lead"):
        people.set_active(settings, leo.person_id, active=False, actor="Leo")
    with pytest.raises(ConflictError, match="last lead"):
        people.set_active(settings, leo.person_id, active=False, actor=CLERK)
    people.change_roles(settings, leo.person_id, [Role.LEAD, Role.QC], actor="Leo")


def test_a_lead_of_the_demonstration_is_no_lead_of_the_department(settings: Settings):
    lea = add(settings, "Lea", Role.LEAD)
    people.ensure_demonstration(settings, "Anybody", roles=[Role.LEAD], actor=CLERK)
    with pytest.raises(ConflictError, match="last lead"):
        people.set_active(settings, lea.person_id, active=False, actor="Lea")


def test_two_leads_who_depose_each_other_at_once_leave_one(settings: Settings):
    lea, leo = add(settings, "Lea", Role.LEAD), add(settings, "Leo", Role.LEAD)
    start = threading.Barrier(2)
    refusals: list[Exception] = []

    def depose(victim: PersonRecord, actor: str) -> None:
        start.wait()
        try:
            people.change_roles(settings, victim.person_id, [Role.VIEWER], actor=actor)
        except (ConflictError, NotAllowedError) as err:
            refusals.append(err)

    both = [threading.Thread(target=depose, args=pair) for pair in ((lea, "Leo"), (leo, "Lea"))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    leads = people.people_who_may(settings, Permission.MANAGE_PEOPLE)
    assert (len(leads), len(refusals)) == (1, 1)
    assert verify_log(settings).ok


def test_a_form_that_showed_other_roles_changes_nothing(settings: Settings):
    add(settings, "Lea", Role.LEAD)
    ben = add(settings, "Ben", Role.VIEWER)
    people.change_roles(settings, ben.person_id, [Role.QC], seen=[Role.VIEWER], actor="Lea")
    with pytest.raises(ConflictError, match="Now: Quality control"):
        people.change_roles(settings, ben.person_id, [Role.LEAD], seen=[Role.VIEWER], actor="Lea")


def test_closing_an_access_ends_its_sessions_and_opening_it_revives_none(settings: Settings):
    add(settings, "Lea", Role.LEAD)
    ben = add(settings, "Ben", Role.QC, subject="s1")
    assert visit(settings, identity(), hours=12).standing is Standing.WELCOME
    people.set_active(settings, ben.person_id, active=False, because="left", actor="Lea")
    assert visit(settings, identity(), hours=12).standing is Standing.INACTIVE
    assert visit(settings, identity(session_id="new"), hours=12).standing is Standing.INACTIVE
    people.set_active(settings, ben.person_id, active=True, actor="Lea")
    assert visit(settings, identity(), hours=12).standing is Standing.ENDED
    assert visit(settings, identity(session_id="new"), hours=12).standing is Standing.WELCOME
    assert told(settings, ben) == [
        *("person.added", "session.opened", "person.changed", "session.revoked", "person.changed", "session.opened")
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM people",
        "DELETE FROM sessions",
        "UPDATE people SET log_name = 'Eve'",
        "UPDATE people SET issuer = 'https://evil.example'",
        "UPDATE people SET subject = 'other' WHERE subject IS NOT NULL",
        "UPDATE sessions SET person_id = 2",
        "UPDATE sessions SET expires_at = '2999-01-01T00:00:00.000000Z'",
        "UPDATE sessions SET revoked_at = NULL",
    ],
)
def test_nobody_is_deleted_or_renamed_and_no_session_is_lengthened_or_revived(settings: Settings, statement: str):
    add(settings, "Ben", Role.QC, subject="s1")
    visit(settings, identity(), hours=12)
    sessions.revoke_session(settings, "session-s1", because="", actor=CLERK)
    with open_log(settings) as database, pytest.raises(sqlite3.IntegrityError, match=r"stay|never"):
        database.conn.execute(statement)


# -- sign-in at a provider -------------------------------------------------------------------------------------------


def test_who_is_unknown_is_kept_without_a_role_until_a_lead_gives_one(settings: Settings):
    found = visit(settings, identity(name="Ada"), hours=12, user_agent="Firefox/1\x00")
    assert found.standing is Standing.NO_ROLE
    assert found.person is not None
    assert found.session is not None
    assert (found.person.log_name, found.person.roles, found.session.user_agent) == ("Ada", frozenset(), "Firefox/1")
    people.change_roles(settings, found.person.person_id, [Role.CONSULTANT], actor=CLERK)
    again = visit(settings, identity(name="Ada"), hours=12)
    assert (again.standing, again.session) == (Standing.WELCOME, found.session)


def test_claims_give_roles_until_a_lead_does(settings: Settings):
    def roles(session: str, *given: Role) -> frozenset[Role]:
        found = visit(settings, identity(session_id=session, roles=frozenset(given)), hours=12)
        assert found.person is not None
        return found.person.roles

    assert roles("a", Role.QC) == {Role.QC}
    assert roles("b", Role.PATHOLOGIST) == {Role.PATHOLOGIST}
    assert roles("c") == frozenset()
    person = people.list_people(settings, actor=CLERK)[0]
    people.change_roles(settings, person.person_id, [Role.VIEWER], actor=CLERK)
    assert roles("d", Role.LEAD) == {Role.VIEWER}


def test_claims_count_at_sign_in_and_not_between(settings: Settings):
    visit(settings, identity(roles=frozenset({Role.QC})), hours=12)
    found = visit(settings, identity(roles=frozenset({Role.LEAD})), hours=12)
    assert found.person is not None
    assert found.person.roles == {Role.QC}


def test_an_invitation_is_taken_up_by_a_checked_address_once(settings: Settings):
    people.add_person(settings, "Dr. Ada", issuer=ISSUER, email="ada@x.org", roles=[Role.LEAD], actor=CLERK)
    unchecked = visit(settings, identity("stranger", name="Dr. Ada"), hours=12)
    assert unchecked.person is not None
    assert (unchecked.person.log_name, unchecked.person.roles) == ("Dr. Ada 2", frozenset())
    elsewhere = visit(settings, identity("far", issuer="https://evil.example", email="ada@x.org"), hours=12)
    assert elsewhere.person is not None
    assert elsewhere.person.roles == frozenset()
    taken = visit(settings, identity("ada", email="ada@x.org"), hours=12)
    assert taken.person is not None
    assert (taken.person.log_name, taken.person.roles, taken.person.subject) == ("Dr. Ada", {Role.LEAD}, "ada")
    later = visit(settings, identity("thief", email="ada@x.org"), hours=12)
    assert later.person is not None
    assert later.person.roles == frozenset()


@pytest.mark.parametrize("first_lead", ["ada@x.org", "ADA@X.ORG ", "s1"])
def test_the_first_lead_is_named_from_outside_and_only_while_there_is_none(settings: Settings, first_lead: str):
    people.ensure_demonstration(settings, "Anybody", roles=[Role.LEAD], actor=CLERK)
    found = visit(settings, identity(email="ada@x.org"), hours=12, first_lead=first_lead)
    assert found.person is not None
    assert found.person.roles == {Role.LEAD}
    second = visit(settings, identity("s2", email="bob@x.org"), hours=12, first_lead="bob@x.org")
    assert second.person is not None
    assert second.person.roles == frozenset()


def test_two_tabs_of_one_sign_in_are_one_session(settings: Settings):
    start = threading.Barrier(4)
    found: list[Standing] = []

    def tab() -> None:
        start.wait()
        found.append(visit(settings, identity(roles=frozenset({Role.QC})), hours=12).standing)

    tabs = [threading.Thread(target=tab) for _ in range(4)]
    for thread in tabs:
        thread.start()
    for thread in tabs:
        thread.join()
    assert found == [Standing.WELCOME] * 4
    (person,) = people.list_people(settings, actor=CLERK)
    assert told(settings, person) == ["person.added", "session.opened"]


# -- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_expires_counted_from_the_sign_in(settings: Settings):
    add(settings, "Ben", Role.QC, subject="s1")
    assert visit(settings, identity(), hours=12, now=NOW + timedelta(hours=11.9)).standing is Standing.WELCOME
    assert visit(settings, identity(), hours=12, now=NOW + timedelta(hours=12)).standing is Standing.EXPIRED
    old = identity(session_id="never seen", signed_in_at=NOW - timedelta(hours=12))
    assert visit(settings, old, hours=12, now=NOW).standing is Standing.EXPIRED
    (person,) = people.list_people(settings, actor=CLERK)
    assert len(sessions.list_sessions(settings, person.person_id, actor=CLERK)) == 1


def test_an_issuers_clock_that_runs_ahead_lengthens_no_session(settings: Settings):
    found = visit(settings, identity(signed_in_at=NOW + timedelta(days=300)), hours=12, now=NOW)
    assert found.session is not None
    assert found.session.expires_at == NOW + timedelta(hours=12)


def test_the_session_of_somebody_else_does_not_let_in(settings: Settings):
    add(settings, "Ben", Role.QC, subject="s1")
    add(settings, "Eve", Role.QC, subject="s2")
    visit(settings, identity("s1"), hours=12)
    stolen = visit(settings, identity("s2", session_id="session-s1"), hours=12)
    assert (stolen.standing, stolen.person) == (Standing.ENDED, None)


def test_last_use_is_noted_now_and_then(settings: Settings):
    add(settings, "Ben", Role.QC, subject="s1")

    def seen(after: timedelta) -> datetime:
        now = datetime.now(UTC) + after
        visit(settings, identity(), hours=12, now=now)
        found = visit(settings, identity(), hours=12, now=now)
        assert found.session is not None
        return found.session.seen_at

    opened = seen(timedelta())
    assert seen(timedelta(seconds=30)) == opened
    assert seen(timedelta(seconds=90)) > opened + timedelta(seconds=80)


def test_one_ends_ones_own_sessions_and_a_lead_anybodys(settings: Settings):
    add(settings, "Lea", Role.LEAD, subject="lea")
    ben = add(settings, "Ben", Role.VIEWER, subject="s1")
    add(settings, "Eve", Role.PATHOLOGIST, subject="s2")
    for name in ("a", "b", "c"):
        visit(settings, identity(session_id=name), hours=12)
    with pytest.raises(NotAllowedError):
        sessions.revoke_session(settings, "a", because="", actor="Eve")
    with pytest.raises(NotAllowedError):
        sessions.list_sessions(settings, ben.person_id, actor="Eve")
    sessions.revoke_session(settings, "a", because="signed out", actor="Ben")
    sessions.revoke_session(settings, "a", because="again", actor="Ben")
    sessions.revoke_session(settings, "b", because="ended by a lead", actor="Lea")
    assert sessions.revoke_everywhere(settings, ben.person_id, because="all", actor="Ben") == 1
    standings = [visit(settings, identity(session_id=name), hours=12).standing for name in ("a", "b", "c")]
    assert standings == [Standing.ENDED] * 3
    assert told(settings, ben).count("session.revoked") == 3
    assert {one.revoked_by for one in sessions.list_sessions(settings, ben.person_id, actor="Ben")} == {"Ben", "Lea"}


def test_whether_a_session_holds_for_a_permission(settings: Settings):
    add(settings, "Lea", Role.LEAD)
    ben = add(settings, "Ben", Role.VIEWER, subject="s1")
    visit(settings, identity(), hours=12)

    def held(permission: Permission = Permission.SEE_CASES, subject: str = "s1") -> bool:
        return sessions.holds(settings, "session-s1", issuer=ISSUER, subject=subject, permission=permission)

    assert held()
    assert not held(Permission.OPERATE)
    assert not held(subject="s2")
    assert not sessions.holds(settings, "unknown", issuer=ISSUER, subject="s1", permission=Permission.SEE_CASES)
    people.change_roles(settings, ben.person_id, [], actor="Lea")
    assert not held()


def test_the_demonstration_gives_the_role_that_was_chosen_last(settings: Settings):
    for number, role in enumerate((Role.VIEWER, Role.LEAD, Role.QC)):
        sessions.open_demonstration(settings, "Ada", role=role, session_id=str(number), hours=12)
    (ada,) = people.list_people(settings, actor=CLERK)
    assert (ada.log_name, ada.roles, ada.roles_from) == ("Ada (demonstration)", {Role.QC}, RolesFrom.SIGN_IN)
    (row,) = people.people_overview(settings, actor=CLERK)
    assert row.open_sessions == 3
    assert row.last_seen is not None
    changes = [event.payload["new"] for event in people.people_log(settings, actor=CLERK) if "new" in event.payload]
    assert [change["roles"] for change in changes] == [["lead"], ["qc"]]  # type: ignore[index]

"""Who may do what: the table of grants, the kinds of actor, and what is refused."""

from __future__ import annotations

import pytest
from people_kit import enrol

from core.errors import NotAllowedError
from core.roles import (
    COMMAND_LINE_GRANTS,
    GRANTS,
    PERMISSION_WORDS,
    ROLE_MEANINGS,
    ROLE_NAMES,
    SYSTEM_GRANTS,
    Permission,
    Role,
    in_words,
    permissions_of,
    roles_with,
)
from core.services.people.authority import ActorKind, kind_of, permissions_of_actor, refusal, require, require_now
from core.settings import Settings
from core.store.connection import open_log, writing

SEES = {Permission.SEE_CASES, Permission.SEE_REPORTS}
READS = SEES | {
    Permission.RECORD_READS,
    Permission.ANNOTATE,
    Permission.REQUEST_OPINION,
    Permission.GIVE_OPINION,
    Permission.ADJUDICATE,
    Permission.RESOLVE,
    Permission.SIGN,
    Permission.REFRESH_FLAGS,
    Permission.EXPORT,
}
JUDGES = {Permission.JUDGE_QUALITY, Permission.SET_QC_LIMITS}
RUNS = {Permission.ASSIGN_CASES, Permission.OPERATE, Permission.REFRESH_FLAGS, Permission.EXPORT}


@pytest.mark.parametrize(
    ("role", "granted"),
    [
        (Role.VIEWER, SEES),
        (Role.QC, SEES | RUNS | JUDGES | {Permission.IMPORT_READS}),
        (Role.CONSULTANT, READS),
        (Role.PATHOLOGIST, READS | {Permission.ASSIGN_CASES, Permission.OPERATE}),
        (Role.LEAD, set(Permission)),
    ],
)
def test_every_role_may_exactly_this(role, granted):
    assert GRANTS[role] == granted


def test_every_role_and_permission_has_its_words():
    assert set(GRANTS) == set(ROLE_NAMES) == set(ROLE_MEANINGS) == set(Role)
    assert set(PERMISSION_WORDS) == set(Permission)


def test_several_roles_may_what_one_of_them_may():
    assert permissions_of([Role.QC, Role.CONSULTANT]) == GRANTS[Role.QC] | GRANTS[Role.CONSULTANT]
    assert permissions_of([]) == frozenset()
    assert in_words({Role.LEAD, Role.PATHOLOGIST}) == "Pathologist, Lead"
    assert in_words([]) == "No role"
    assert roles_with(Permission.MANAGE_PEOPLE) == (Role.LEAD,)


PERSONAL = {
    Permission.RECORD_READS,
    Permission.ANNOTATE,
    Permission.REQUEST_OPINION,
    Permission.GIVE_OPINION,
    Permission.ADJUDICATE,
    Permission.RESOLVE,
    Permission.SIGN,
}


def test_neither_the_command_line_nor_the_worker_reads_decides_or_signs():
    assert not COMMAND_LINE_GRANTS & PERSONAL
    assert not SYSTEM_GRANTS & (PERSONAL | {Permission.MANAGE_PEOPLE, Permission.EXPORT})
    assert Permission.MANAGE_PEOPLE in COMMAND_LINE_GRANTS


@pytest.mark.parametrize(
    ("actor", "kind"),
    [
        ("system", ActorKind.SYSTEM),
        ("ann (command line)", ActorKind.COMMAND_LINE),
        ("System", ActorKind.PERSON),
        ("ann (command line) (demonstration)", ActorKind.PERSON),
        ("ann", ActorKind.PERSON),
        ("", ActorKind.PERSON),
    ],
)
def test_an_actor_is_told_by_its_name(actor, kind):
    assert kind_of(actor) is kind


@pytest.mark.parametrize("actor", ["nobody", "", "Ann", "ann ", "gone", "none"])
def test_who_is_unknown_inactive_or_without_a_role_may_nothing(settings: Settings, actor: str):
    enrol(settings, "ann")
    enrol(settings, "gone", active=False)
    enrol(settings, "none", roles=())
    with open_log(settings) as database:
        assert permissions_of_actor(database, actor) == frozenset()
    with pytest.raises(NotAllowedError):
        require_now(settings, actor, Permission.SEE_CASES)


def test_a_refusal_names_who_may(settings: Settings):
    enrol(settings, "vic", roles=(Role.VIEWER,))
    require_now(settings, "vic", Permission.SEE_CASES)
    with pytest.raises(NotAllowedError) as refused:
        require_now(settings, "vic", Permission.MANAGE_SCHEMES)
    assert str(refused.value) == (
        "vic may not do this: change reading schemes. It is for: Lead. Ask a lead for the role."
    )
    assert refusal("  ", Permission.SIGN).startswith("Somebody without a name may not")


def test_a_change_sees_the_roles_of_its_own_transaction(settings: Settings):
    enrol(settings, "ann")
    with open_log(settings) as database, writing(database):
        require(database, "ann", Permission.SIGN)
        database.conn.execute("UPDATE people SET active = 0")
        with pytest.raises(NotAllowedError):
            require(database, "ann", Permission.SIGN)

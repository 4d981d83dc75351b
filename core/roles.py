"""Roles and what each may do: one table, which services check, pages show and tests walk through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a person does in the department; a person may have several."""

    PATHOLOGIST = "pathologist"
    CONSULTANT = "consultant"
    QC = "qc"
    LEAD = "lead"
    VIEWER = "viewer"


ROLE_NAMES: Mapping[Role, str] = {
    Role.PATHOLOGIST: "Pathologist",
    Role.CONSULTANT: "Consultant",
    Role.QC: "Quality control",
    Role.LEAD: "Lead",
    Role.VIEWER: "Viewer",
}

ROLE_MEANINGS: Mapping[Role, str] = {
    Role.PATHOLOGIST: "reads cases, records diagnoses, asks for second opinions and gives them",
    Role.CONSULTANT: "gives second opinions and decides as a third reader",
    Role.QC: "judges the quality of slides, adds slides, manages jobs, and takes in and gives out data",
    Role.LEAD: "all of this, and people, roles, schemes and rules",
    Role.VIEWER: "looks, and records nothing",
}


class Permission(StrEnum):
    """One thing that a person may be allowed to do."""

    SEE_CASES = "see_cases"
    RECORD_READS = "record_reads"
    ANNOTATE = "annotate"
    REQUEST_OPINION = "request_opinion"
    GIVE_OPINION = "give_opinion"
    ADJUDICATE = "adjudicate"
    RESOLVE = "resolve"
    SIGN = "sign"
    ASSIGN_CASES = "assign_cases"
    OPERATE = "operate"
    REFRESH_FLAGS = "refresh_flags"
    IMPORT_READS = "import_reads"
    EXPORT = "export"
    JUDGE_QUALITY = "judge_quality"
    SET_QC_LIMITS = "set_qc_limits"
    SEE_REPORTS = "see_reports"
    SEE_READER_PROFILES = "see_reader_profiles"
    MANAGE_REQUESTS = "manage_requests"
    MANAGE_RULES = "manage_rules"
    MANAGE_SCHEMES = "manage_schemes"
    MANAGE_PEOPLE = "manage_people"


PERMISSION_WORDS: Mapping[Permission, str] = {
    Permission.SEE_CASES: "See cases and slides",
    Permission.RECORD_READS: "Record diagnoses and answers to the model",
    Permission.ANNOTATE: "Draw and remove marks on slides",
    Permission.REQUEST_OPINION: "Ask for a second opinion",
    Permission.GIVE_OPINION: "Give a second opinion",
    Permission.ADJUDICATE: "Decide as a third reader",
    Permission.RESOLVE: "Record how a disagreement was resolved",
    Permission.SIGN: "Sign",
    Permission.ASSIGN_CASES: "Assign cases",
    Permission.OPERATE: "Add slides and manage jobs",
    Permission.REFRESH_FLAGS: "Bring flags up to date by what they record",
    Permission.IMPORT_READS: "Import reads and predictions of others",
    Permission.EXPORT: "Export data",
    Permission.JUDGE_QUALITY: "Judge the quality of slides",
    Permission.SET_QC_LIMITS: "Change the limits of quality control",
    Permission.SEE_REPORTS: "See reports and agreement",
    Permission.SEE_READER_PROFILES: "See the profile of another reader",
    Permission.MANAGE_REQUESTS: "Reassign or withdraw requests of others",
    Permission.MANAGE_RULES: "Change flag rules and thresholds",
    Permission.MANAGE_SCHEMES: "Change reading schemes",
    Permission.MANAGE_PEOPLE: "Manage people, roles and sessions",
}

_READER = frozenset(
    {
        Permission.SEE_CASES,
        Permission.RECORD_READS,
        Permission.ANNOTATE,
        Permission.REQUEST_OPINION,
        Permission.GIVE_OPINION,
        Permission.RESOLVE,
        Permission.SIGN,
        Permission.REFRESH_FLAGS,
        Permission.EXPORT,
        Permission.SEE_REPORTS,
    }
)

GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.PATHOLOGIST: _READER | {Permission.ASSIGN_CASES, Permission.OPERATE, Permission.ADJUDICATE},
    Role.CONSULTANT: _READER | {Permission.ADJUDICATE},
    Role.QC: frozenset(
        {
            Permission.SEE_CASES,
            Permission.ASSIGN_CASES,
            Permission.OPERATE,
            Permission.REFRESH_FLAGS,
            Permission.IMPORT_READS,
            Permission.EXPORT,
            Permission.JUDGE_QUALITY,
            Permission.SET_QC_LIMITS,
            Permission.SEE_REPORTS,
        }
    ),
    Role.LEAD: frozenset(Permission),
    Role.VIEWER: frozenset({Permission.SEE_CASES, Permission.SEE_REPORTS}),
}
"""What each role may do; a person may do whatever one of the person's roles may."""

SYSTEM = "system"
"""Actor of the worker and of the dashboard itself."""
COMMAND_LINE_MARK = " (command line)"
"""Ends the name of an actor who has a shell on the machine and its files: nobody vouches for more."""

SYSTEM_GRANTS = frozenset({Permission.SEE_CASES, Permission.OPERATE, Permission.REFRESH_FLAGS})
COMMAND_LINE_GRANTS = frozenset(
    {
        Permission.SEE_CASES,
        Permission.ASSIGN_CASES,
        Permission.OPERATE,
        Permission.REFRESH_FLAGS,
        Permission.IMPORT_READS,
        Permission.EXPORT,
        Permission.SEE_REPORTS,
        Permission.SEE_READER_PROFILES,
        Permission.SET_QC_LIMITS,
        Permission.MANAGE_RULES,
        Permission.MANAGE_SCHEMES,
        Permission.MANAGE_PEOPLE,
    }
)
"""Whoever owns the files may run the machine, but never reads, decides or signs in the name of a person."""


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """Return everything that somebody with these roles may do."""
    return frozenset[Permission]().union(*(GRANTS[role] for role in roles))


def roles_with(permission: Permission) -> tuple[Role, ...]:
    """Return the roles that hold a permission, in their usual order."""
    return tuple(role for role in Role if permission in GRANTS[role])


def in_words(roles: Iterable[Role]) -> str:
    """Return roles as a phrase, in their usual order."""
    wanted = frozenset(roles)
    return ", ".join(ROLE_NAMES[role] for role in Role if role in wanted) or "No role"

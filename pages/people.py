"""People and roles: who may sign in and do what, every session, the reading schemes, and how all that came about."""

from __future__ import annotations

import streamlit as st

from core.roles import Permission
from core.server.auth_settings import read_auth_settings
from core.services.people.people import people_log, people_overview
from core.services.rules.scheme_library import list_schemes
from pages.parts.common.actions import show_notice
from pages.parts.common.session import current_settings, require_permission
from pages.parts.people.forms import show_add_person
from pages.parts.people.list import choose_person, show_people, show_waiting
from pages.parts.people.person import show_person
from pages.parts.people.schemes import show_schemes
from pages.parts.people.tables import log_frame, matrix_frame

VIEWS = ("People", "What roles may do", "Reading schemes", "History")

user = require_permission(Permission.MANAGE_PEOPLE)
settings = current_settings()
show_notice()

with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("People and roles", width="stretch")
    if st.button("Add person", key="add_person", icon=":material/person_add:", type="primary", shortcut="n"):
        show_add_person(settings, read_auth_settings(settings), actor=user.actor)
view = st.segmented_control(
    "View", VIEWS, default=VIEWS[0], required=True, key="view", bind="query-params", label_visibility="collapsed"
)

if view == "People":
    rows = people_overview(settings, actor=user.actor)
    show_waiting(rows)
    list_place, person_place = st.columns([3, 2], gap="large")
    with list_place:
        show_people(rows)
    with person_place:
        chosen = choose_person(rows)
        if chosen is not None:
            show_person(settings, chosen, user=user)
elif view == "What roles may do":
    st.caption("A person with several roles may do whatever one of them may. Every page, route and service asks.")
    st.table(matrix_frame(), border="horizontal", width="content", alt="What each role may do")
elif view == "Reading schemes":
    show_schemes(settings, list_schemes(settings), actor=user.actor)
else:
    told = log_frame(people_log(settings, actor=user.actor))
    st.caption("Everything that happened to people, roles and sessions, newest first. Nothing here can be changed.")
    st.dataframe(told, hide_index=True, height=620, key="people_history", alt="History of people, roles and sessions")

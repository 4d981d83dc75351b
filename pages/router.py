"""The navigation script: the sign-in gate first, then the page.

No folder named `pages` lies beside this file, and that must stay so: Streamlit would start in its old multipage mode,
where a deep link runs a page without this gate.

The pages carry no icon of their own: Streamlit would make it the browser tab's, and fetch it from another host. The
links of the sidebar carry the icons instead.
"""

from __future__ import annotations

import streamlit as st

from core.roles import Permission
from core.server.identity import user_of
from core.services.consultations.inbox import count_to_do
from core.services.story.start import is_demonstration
from pages.parts.common.frame import ICON, SIDEBAR_PX, Group, Link, show_banner, show_footer, show_sidebar
from pages.parts.common.session import current_settings, current_visit
from pages.parts.common.sign_in import show_gate

WORKLIST = st.Page(
    "worklist.py",
    title="Worklist",
    help="All cases, likely missed disease first. Filter, search, and open a case.",
    default=True,
)
TRIAGE = st.Page(
    "triage.py",
    title="Triage board",
    help="What to look at again with the time there is, what that finds, and what it leaves.",
)
CASE = st.Page(
    "case.py",
    title="Case",
    help="One case: slides, heatmap, quality, your diagnosis and your answer to the model.",
)
CONSULTATIONS = st.Page(
    "consultations.py",
    title="Second opinions",
    help="What is asked of you, what you asked for, what is late, and what waits for whom.",
)
QUALITY = st.Page(
    "quality.py",
    title="Quality",
    help="Which part of which slide cannot be trusted, why, and what to do: verdicts, cohort, second reads, limits.",
)
TRENDS = st.Page("trends.py", title="Trends", help="Quality by day, scanner, stain and site, with control limits.")
EVALUATION = st.Page(
    "evaluation.py",
    title="Evaluation",
    help="A model against a reference: curves, thresholds, calibration, subgroups, another model, robustness.",
)
EXPLANATION = st.Page(
    "explanation.py",
    title="Explanation",
    help="What a call rests on: the removal test, maps of tiles with their checks, and what looks alike.",
)
AGREEMENT = st.Page(
    "agreement.py",
    title="Agreement",
    help="How far readers agree, the model as one more, and what seeing the model changes.",
)
REPORTS = st.Page(
    "reports.py",
    title="Reports",
    help="What guidelines on second opinions ask for: rates, times, and what became of reports, with trends.",
)
IMPORTS = st.Page(
    "imports.py",
    title="Import",
    help="Take in reads and predictions of others from a table, checked before anything is written.",
)
SLIDES = st.Page(
    "slides.py",
    title="Add slides and jobs",
    help="Add slides by folder, manifest or upload, and follow their analysis.",
)
RULES = st.Page(
    "rules.py",
    title="Rules",
    help="For leads: which rules flag a case, drafts tried on the cohort, thresholds by cost or by capacity.",
)
CALIBRATION = st.Page(
    "calibration.py",
    title="Calibration",
    help="How far a model's calls can be trusted: prediction sets by site and scanner, coverage, slides unlike others.",
)
PEOPLE = st.Page(
    "people.py",
    title="People and roles",
    help="For leads: who may sign in and do what, sessions, and reading schemes.",
)
ERRORS = st.Page(
    "error_review.py",
    title="Errors",
    help="What a model missed or called wrongly, the worst first, and why, as two readers see it.",
)
DEMONSTRATION = st.Page(
    "demonstration.py",
    title="Five-minute story",
    help="A guided tour of five cases: a right flag, a wrong one, a limited result, an abstention, a second opinion.",
)
ABOUT = st.Page("about.py", title="About", help="Intended use, limits, versions and model cards.")

# A page is a constant above and a line in its group; a group that is empty is not shown.
GROUPS = (
    Group(
        "Read",
        (
            Link(WORKLIST, ":material/format_list_bulleted:"),
            Link(TRIAGE, ":material/tune:", Permission.SEE_REPORTS),
            Link(CASE, ":material/biotech:"),
            Link(CONSULTATIONS, ":material/forum:", Permission.GIVE_OPINION),
        ),
    ),
    Group("Quality", (Link(QUALITY, ":material/blur_on:"), Link(TRENDS, ":material/trending_up:"))),
    Group(
        "Evaluate",
        (
            Link(EVALUATION, ":material/query_stats:", Permission.SEE_REPORTS),
            Link(ERRORS, ":material/report:", Permission.SEE_REPORTS),
            Link(EXPLANATION, ":material/insights:"),
            Link(AGREEMENT, ":material/diversity_3:", Permission.SEE_REPORTS),
            Link(REPORTS, ":material/summarize:", Permission.SEE_REPORTS),
        ),
    ),
    Group(
        "Set up",
        (
            Link(SLIDES, ":material/upload_file:"),
            Link(IMPORTS, ":material/table_rows:", Permission.IMPORT_READS),
            Link(RULES, ":material/rule:", Permission.MANAGE_RULES),
            Link(CALIBRATION, ":material/straighten:", Permission.SEE_REPORTS),
            Link(PEOPLE, ":material/group:", Permission.MANAGE_PEOPLE),
            Link(ABOUT, ":material/info:"),
        ),
    ),
    Group(
        "Demonstration",
        (Link(DEMONSTRATION, ":material/slideshow:"),) if is_demonstration(current_settings()) else (),
    ),
)

visit = current_visit()
user = None if visit is None else user_of(visit)
page = st.navigation([link.page for group in GROUPS for link in group.links], position="hidden")
st.set_page_config(
    page_title=f"{page.title} - Second Read", page_icon=ICON, layout="wide", initial_sidebar_state=SIDEBAR_PX
)
show_banner(user)
if user is None:
    show_gate(page.url_path, visit=visit)
    show_footer()
    st.stop()
show_sidebar(
    user,
    groups=GROUPS,
    counts={CONSULTATIONS.url_path: count_to_do(current_settings(), actor=user.actor)},
)
# The footer first, below the page's place: a page that stops early does not take it away.
body = st.container()
show_footer()
with body:
    page.run()

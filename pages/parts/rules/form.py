"""The form that drafts a rule set, from fields or as text."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain import FlagKind
from core.errors import InputError
from core.services.rules.rules import ANY, RuleSet, RuleSetState, Threshold, parse_rules, rules_text
from pages.parts.common.badges import FLAGS
from pages.parts.rules.words import BY_CAPACITY, BY_COST, BY_PROBABILITY, way_of

_FIELDS, _TEXT = "Fields", "Text (TOML)"


def edit_rules(states: tuple[RuleSetState, ...]) -> str | None:
    """Let the lead write a rule set; return it as text, or None while it cannot be used."""
    active = next(state.rules.version for state in states if state.active)
    known = {state.rules.version: state.rules for state in states}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        base = st.selectbox(
            "Start from",
            list(known),
            index=list(known).index(active),
            key="rules_base",
            width=240,
            help="The fields take the values of this rule set. The set itself stays as it is.",
        )
        how = st.segmented_control("Write as", [_FIELDS, _TEXT], default=_FIELDS, required=True, key="rules_how")
    try:
        if how == _TEXT:
            text = st.text_area(
                "Rule set",
                rules_text(known[base]),
                height=320,
                key=f"rules_text_{base}",
                help="TOML with version, title, on, abstain_band, qc_limit, audit_share, audit_seed and [[threshold]] "
                "tables with model, scheme and one of cost, reviews_a_day with cases_a_day, from_probability.",
            )
            parse_rules(text)
            return text
        return rules_text(_fields(known[base]))
    except InputError as err:
        st.warning(str(err), icon=":material/edit:")
        return None


def _fields(base: RuleSet) -> RuleSet:
    key = base.version
    with st.container(horizontal=True):
        version = st.text_input(
            "Version",
            f"{key}-new",
            key=f"rules_version_{key}",
            max_chars=40,
            width=240,
            help="A new name; every flag and every evaluation carries it.",
        )
        title = st.text_input("Title", base.title, key=f"rules_title_{key}", max_chars=80)
    on = st.pills(
        "Rules that are on",
        list(FlagKind),
        selection_mode="multi",
        default=[kind for kind in FlagKind if kind in base.on],
        format_func=lambda kind: FLAGS[kind].label,
        key=f"rules_on_{key}",
    )
    with st.container(horizontal=True):
        band = _number("No call within", base.abstain_band, f"rules_band_{key}", "Of the model's threshold, 0 to 1")
        limit = _number("Artefact limit", base.qc_limit, f"rules_qc_{key}", "Share of the deciding tissue, 0 to 1")
        share = _number("Audit share", base.audit_share, f"rules_share_{key}", "Of the unflagged cases, 0 to 1")
        seed = st.number_input("Audit seed", value=base.audit_seed, step=1, key=f"rules_seed_{key}", width=150)
    return RuleSet(
        version=version.strip(),
        title=title.strip(),
        on=frozenset(on),
        abstain_band=band,
        qc_limit=limit,
        audit_share=share,
        audit_seed=int(seed),
        thresholds=_thresholds(base, key),
    )


def _thresholds(base: RuleSet, key: str) -> tuple[Threshold, ...]:
    st.markdown("**Thresholds**")
    st.caption(
        "From which probability of a difference a read is flagged. By the cost of a miss: so many reviews that changed "
        "nothing are as bad as one missed case. By capacity: so many of so many cases a day; it becomes a probability "
        "on the cohort when the set is activated. Without a row, a read is flagged where the model is clear."
    )
    columns = ["Model", "Scheme", "By", "Value", "Of cases a day"]
    rows = [[one.model, one.scheme, way_of(one), _value(one), one.cases_a_day] for one in base.thresholds]
    frame = pd.DataFrame(rows, columns=columns).astype({"Value": float, "Of cases a day": float})
    edited = st.data_editor(
        frame,
        key=f"rules_thresholds_{key}",
        num_rows="dynamic",
        hide_index=True,
        column_config={
            "Model": st.column_config.TextColumn(default=ANY, help="A model's name, or * for every model"),
            "Scheme": st.column_config.TextColumn(default=ANY, help="A reading scheme, or * for every scheme"),
            "By": st.column_config.SelectboxColumn(
                options=[BY_COST, BY_CAPACITY, BY_PROBABILITY], default=BY_COST, required=True
            ),
            "Value": st.column_config.NumberColumn(
                help="Cost in reviews, reviews a day, or the probability", required=True, default=10.0
            ),
            "Of cases a day": st.column_config.NumberColumn(help="For a capacity only"),
        },
        alt="Thresholds of the draft",
    )
    return tuple(_threshold(*row) for row in edited.itertuples(index=False, name=None))


def _threshold(model: object, scheme: object, way: object, value: float, cases: float) -> Threshold:
    names = {"model": _name(model), "scheme": _name(scheme)}
    number = None if pd.isna(value) else float(value)
    if number is None:
        raise InputError("A threshold has no value. Fill it in, or remove its row.")
    if way == BY_COST:
        return Threshold(**names, cost=number)
    if way == BY_PROBABILITY:
        return Threshold(**names, from_probability=number)
    if pd.isna(cases):
        raise InputError("A capacity needs reviews a day as its value and, beside it, of how many cases a day.")
    return Threshold(**names, reviews_a_day=number, cases_a_day=float(cases))


def _value(one: Threshold) -> float | None:
    if one.cost is not None:
        return one.cost
    return one.reviews_a_day if one.by_capacity else one.from_probability


def _name(value: object) -> str:
    return str(value).strip() if isinstance(value, str) and value.strip() else ANY


def _number(label: str, value: float, key: str, meaning: str) -> float:
    return float(st.number_input(label, 0.0, 1.0, value, 0.01, format="%.3f", key=key, width=150, help=meaning))

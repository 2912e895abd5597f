"""Features: how they are encoded, and a table of what they contain."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

import engine
from engine.datasets import Audit, FeatureFacts
from engine.sources import SourceSpec
from ui.shared import forms, words

KINDS = {"single": "category", "multi": "bag of categories", "dense": "number"}


def controls(source: SourceSpec, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of categories, numbers and history as raw fields of a dataset spec."""
    reading, columns = source.reading(), source.features()
    names = {kind: [f.name for f in columns if (f.kind == "dense") == (kind == "dense")] for kind in ("dense", "category")}
    raw: dict[str, Any] = {}
    grid = st.grid(3, min_column_width=250, gap="medium")
    with grid.cell():
        st.markdown("**Categories**")
        raw |= forms.inputs(engine.datasets.DatasetSpec, key, given, columns=1, only=("min_count",), fold=False)
        raw["hashed"] = _some("hashed", names["category"], key, given)
        if raw["hashed"]:
            raw |= forms.inputs(engine.datasets.DatasetSpec, key, given, columns=1, only=("hash_rows",), fold=False)
    with grid.cell():
        st.markdown("**Numbers**")
        raw["log1p"] = _some("log1p", names["dense"], key, given)
        raw |= forms.inputs(engine.datasets.DatasetSpec, key, given, columns=1, only=("missing_flags",), fold=False)
        st.caption("Numbers are standardised by mean and standard deviation of the training split; missing values become 0.")
    with grid.cell():
        st.markdown("**History**")
        if reading.user and reading.item:
            own = ("history", "history_order", "sequence") if reading.time else ("history", "history_order")
            raw |= forms.inputs(engine.datasets.DatasetSpec, key, given, columns=1, only=own, fold=False)
            if reading.time is None:
                st.caption("Without timestamps there is no order of time: keep “others”.")
        else:
            raw["history"] = 0
            st.caption("None: rows have no user and item ids.")
    return raw


def _some(field: str, names: list[str], key: str, given: Mapping[str, Any]) -> list[str]:
    labels = {"hashed": "Hash instead of a vocabulary", "log1p": "Take the logarithm, log(1 + x)"}
    return st.multiselect(
        labels[field],
        names,
        [name for name in given.get(field, ()) if name in names],
        key=f"{key}.{field}.{hash(tuple(names))}",
        placeholder="none" if names else "there are none",
        disabled=not names,
        help=engine.datasets.DatasetSpec.model_fields[field].description,
        persist_state=forms.KEPT,
    )


def table(audit: Audit, alt: str = "Every feature: its values and what is missing") -> None:
    """One row per feature: missing, distinct and frequent values, and the share of values in later splits that training has not seen."""
    if not audit.features:
        st.caption("There are no features besides ids: models read only ids and history.")
        return
    number, share = st.column_config.NumberColumn, "percent"
    st.dataframe(
        frame(audit.features),
        hide_index=True,
        height="auto" if len(audit.features) <= 12 else 460,
        placeholder=words.DASH,
        alt=alt,
        column_config={
            "Feature": st.column_config.TextColumn(pinned=True),
            "Missing": number(format=share, help="Share of rows without a value"),
            "Distinct": number(format="localized", help="Different values in the training split"),
            "Mean": number(format="%.4g", help="Over the training split"),
            "Deviation": number(format="%.4g", help="Standard deviation over the training split"),
            "Shape": st.column_config.BarChartColumn(
                help="Numbers: histogram, low to high. Categories: the most frequent values, most frequent first", width="small"
            ),
            "Range or frequent values": st.column_config.TextColumn(width="large", help="Numbers: low to high. Categories: value (rows)"),
            "Unknown in valid": number(format=share, help="Share of validation values that are not in the training split or too rare"),
            "Unknown in test": number(format=share, help="Share of test values that are not in the training split or too rare"),
            "Rare": number(format="localized", help="Training values below the minimum count; they become the unknown value"),
            "Collisions": number(format=share, help="Share of values that share a row of the hashed table with another"),
            "AUC alone": number(format="%.2f", help="How well the value alone tells liked train rows from others; near 1 it may be a leak"),
            "AUC of presence": number(format="%.2f", help="How well it tells them whether there is a value"),
        },
    )


def frame(facts: list[FeatureFacts]) -> pd.DataFrame:
    """One row per feature; columns that are empty for every feature are left out."""
    rows = []
    for one in facts:
        dense = one.kind == "dense"
        spread = f"{one.low:,.4g} to {one.high:,.4g}" if one.low is not None and one.high is not None else None
        frequent = ", ".join(f"{words.plain(value, 40)} ({words.count(n)})" for value, n in one.top)
        rows.append(
            {
                "Feature": words.plain(one.name, 60),
                "Side": one.side,
                "Kind": KINDS.get(one.kind, one.kind),
                "Missing": one.missing,
                "Distinct": one.distinct,
                "Shape": [n for _, n in (one.histogram if dense else one.top)] or None,
                "Range or frequent values": spread if dense else frequent or None,
                "Mean": one.mean,
                "Deviation": one.std,
                "Unknown in valid": one.unknown.get("valid"),
                "Unknown in test": one.unknown.get("test"),
                "Rare": one.rare,
                "Collisions": one.collisions,
                "AUC alone": one.auc,
                "AUC of presence": one.presence_auc,
            }
        )
    return pd.DataFrame(rows).dropna(axis="columns", how="all")

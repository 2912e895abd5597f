"""Fixtures of tests of the Recommend page."""

import pytest
import streamlit as st

import engine


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of runs whose models are opened from here on."""
    st.cache_resource.clear()  # among it the models that are open
    ids: list[str] = []
    really = engine.recommend.open_model
    monkeypatch.setattr(engine.recommend, "open_model", lambda run_id: (ids.append(run_id), really(run_id))[1])
    return ids

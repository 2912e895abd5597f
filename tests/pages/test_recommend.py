"""The Recommend page: whose lists are shown, what is counted on them."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.fake import FakeEngine

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]


def test_what_is_held_out_is_counted_as_the_metrics_count_it(
    trained: FakeEngine, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = trained.user_interactions
    split = ["test", "test", "valid", "valid", "valid", "train"]  # two of test, as search_users says; all but the fifth are liked
    monkeypatch.setattr(engine, "user_interactions", lambda id, user: met(id, user).assign(split=split))
    at = visit("recommend", runs="a,d", user="7")
    assert "2 held out" in says(at)
    assert "2 more in validation" in [one.label for one in at.expander]
    assert any("2 held out" in option for one in at.selectbox for option in one.options)

"""The parts of pages on their own: forms hold the specs' defaults, numbers and foreign text read as meant."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

import engine
from ui.shared import words

SPECS = {
    **engine.specs.MODELS,
    **{k: s for k, s in engine.sources.SOURCES.items() if not s.model_fields.keys() & {"path"}},
    "train": engine.specs.TrainSpec,
}


def _form(name: str, **given: object) -> None:
    import streamlit as st

    from tests.pages.shared.test_components import SPECS
    from ui.shared import forms

    st.session_state["built"] = forms.built(SPECS[name], forms.inputs(SPECS[name], "form", given))


@pytest.mark.parametrize("name", SPECS)
def test_an_untouched_form_gives_the_defaults_of_its_spec(name: str) -> None:
    at = AppTest.from_function(_form, args=(name,), default_timeout=20).run()
    assert not at.exception
    assert at.session_state["built"] == SPECS[name]()


def test_an_empty_optional_number_is_none() -> None:
    at = AppTest.from_function(_form, args=("train",), kwargs={"patience": None}, default_timeout=20).run()
    assert at.session_state["built"].patience is None


def test_a_wrong_field_is_named() -> None:
    at = AppTest.from_function(_form, args=("dlrm",), default_timeout=20).run()
    at.text_input("form.over_layers").set_value("64, many").run()
    assert "over_layers" in at.error[0].value.replace("\\", "")
    assert at.session_state["built"] is None


@pytest.mark.parametrize(
    "value, shown",
    [(0.22943, "0.229"), (0.0603, "0.0603"), (1234567.0, "1,234,567"), (12.345, "12.3"), (0.0, "0.000"), (None, "–"), (math.nan, "–")],
)
def test_numbers_have_three_significant_digits_and_a_dash_for_missing(value: float | None, shown: str) -> None:
    assert words.number(value) == shown


@pytest.mark.parametrize("seconds, shown", [(4.84, "4.8 s"), (48, "48.0 s"), (65, "1 min 5 s"), (120, "2 min"), (7800, "2 h 10 min")])
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


@pytest.mark.parametrize("back, shown", [(1, "just now"), (300, "5 min ago"), (3 * 3600, "3 h ago"), (50 * 3600, "2 days ago")])
def test_times_are_relative(back: float, shown: str) -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    assert words.ago(now - timedelta(seconds=back), now) == shown


@pytest.mark.parametrize("text", ["**b**", ":red[x]", "$a$", "[l](http://e)", "<b>", ":smile:", "a -> b", "# h", "`c`", "![i](x)"])
def test_markdown_in_foreign_text_is_only_text(text: str) -> None:
    escaped = words.md(text)
    assert escaped.replace("\\", "").replace("\u2060", "") == text
    assert not any(pair in escaped for pair in ("**", "](", ":r", ":s", "->"))


def test_foreign_text_is_one_line_of_limited_length() -> None:
    assert words.plain("a\n\n# b" + "c" * 500, 20) == "a # bcccccccccccccc…"


def test_a_small_share_is_not_shown_as_none() -> None:
    shares = (0, 1e-6, 0.004, 0.05, 0.5, None)
    assert [words.percent(share) for share in shares] == ["0 %", "< 0.1 %", "0.4 %", "5.0 %", "50 %", words.DASH]

"""Which features of a finished run pay: the test of features, its picture, and the run without those that do not."""

import uuid

import plotly.graph_objects as go
import streamlit as st

import engine
from engine import features
from engine.compare import COLORS, GRAY
from engine.features import FeatureTest, RunOfTest
from engine.runs import Run
from ui.runs import launch, live
from ui.shared import charts, states, words

MEANING = (
    "Each feature's values are exchanged among the test rows, and the metric is measured again (permutation importance, Breiman 2001). "
    "It says what this model reads; a model trained without a feature may find the same in another one."
)
MOST_BARS = 40


def section(run: Run) -> None:
    """The newest test with its conclusion, or the button that starts one; nothing for a run whose features cannot be tested."""
    if features.why_no_test(run) is not None:
        return
    tests = features.tests_of(run.run_id)
    with st.expander("Which features pay?", icon=":material/format_list_numbered:", key=f"features.{run.run_id}", expanded=bool(tests)):
        under_way = next((test for test in tests if test.run.live), None)
        newest = next((test for test in tests if test.result), None)
        if under_way is not None:
            live.watch([under_way.run.run_id])
        elif newest is not None:
            _result(run, newest)
        if under_way is None:
            _failure(tests)
            _start(run, again=newest is not None)


def _failure(tests: list[RunOfTest]) -> None:
    """Why the newest test has no result."""
    if tests and not tests[0].result and not states.is_in(tests[0].run, "CANCELLED"):
        st.error(words.md(tests[0].run.message or "The test left no result.", 400), icon=":material/error:")


def _start(run: Run, again: bool) -> None:
    if not again:
        st.caption(MEANING + " It reads up to 200,000 test rows twice; nothing is trained.")
    if st.button("Test again" if again else "Test the features", icon=":material/play_arrow:", key=f"features.start.{run.run_id}"):
        try:
            key = st.session_state.setdefault(f"features.nonce.{run.run_id}", uuid.uuid4().hex)
            features.test_features(run.run_id, key=key)
        except (LookupError, ValueError, OSError) as error:
            st.error(words.md(error.args[0] if error.args else error, 600), icon=":material/error:", title="Not tested")
            return
        del st.session_state[f"features.nonce.{run.run_id}"]  # the next click is another test
        st.rerun()


def _result(run: Run, test: RunOfTest) -> None:
    result = test.result
    if result is None:
        return
    metric = engine.specs.METRICS[result.metric].label
    st.markdown(words.md(features.conclusion(run, result), 600), help=MEANING)
    with_all = f"With all features {metric} is {words.number(result.value)}"
    st.caption(f"{with_all}, on {words.count(result.rows)} test rows of {words.count(result.users)} users; intervals of 95 % over users.")
    said = ", ".join(f"{one.features[0]} {one.loss:+.4f}" for one in result.each[:5])
    charts.show(losses_chart(result, metric), f"Loss of {metric} by feature: {said}", key=f"features.chart.{test.run.run_id}")
    if len(result.each) > MOST_BARS:
        st.caption(f"The {MOST_BARS} that cost most, of {len(result.each)}; the others are in the test's files.")
    spare = result.spare
    without = features.run_without(run, spare) if spare else None
    if spare is None or without is None:
        return
    st.caption("Without: " + ", ".join(words.md(words.field_label(name), 60) for name in spare.features))
    label = "Train without it" if len(spare.features) == 1 else "Train without them"
    launched = launch.button([without], complete=True, key=f"features.without.{run.run_id}", label=label)
    if launched:
        live.watch(launched)


def losses_chart(result: FeatureTest, metric: str) -> go.Figure:
    """A bar a feature with its interval, the dearest on top; those that can go are gray."""
    rows, spare = result.each[:MOST_BARS], set(result.spare.features if result.spare else ())
    names = [words.html(words.field_label(one.features[0]), 40) for one in rows]
    drawn = charts.blank(f"{metric} that is lost when permuted", "", max(140, 60 + 26 * len(rows)))
    drawn.add_bar(
        x=[one.loss for one in rows],
        y=names,
        orientation="h",
        marker={"color": [GRAY if spare.issuperset(one.features) else COLORS[0] for one in rows]},
        error_x={"type": "data", "array": [0.0 if one.high is None else one.high - one.loss for one in rows], "thickness": 1, "width": 3},
        hovertemplate="%{x:+.4f}<extra></extra>",
    )
    drawn.update_layout(margin={"l": 150}, hovermode="closest")
    drawn.update_yaxes(autorange="reversed")
    drawn.update_xaxes(tickformat=".3~f")
    return drawn

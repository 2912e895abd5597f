"""One winner, or none: the table, the command line, --json, every export and the page's sentences name the same one."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import engine
from engine import datasets, runs
from engine.cli import main
from engine.compare import Answer, Method, comparison
from engine.report import formats
from tests.records import DATASET, run
from ui.compare import metric_tables, verdict

USERS = 60
NOISE = np.random.default_rng(1).normal(0, 0.05, USERS)
OTHER_NOISE = np.random.default_rng(2).normal(0, 0.2, USERS)
Users = np.ndarray | None


class Run(NamedTuple):
    """A run of a case: its value by the case's metric, and that of each user; None where the results of users are gone."""

    value: float
    users: Users = None
    model: str = "two_tower"
    seed: int = 1
    error: float | None = None  # standard error, for an interval without users
    dim: int = 8


class Case(NamedTuple):
    runs: dict[str, Run]
    winner: str | None
    baselines: Mapping[str, float] = MappingProxyType({})
    metric: str = "ndcg_at_10"


def spread(value: float, noise: np.ndarray = NOISE) -> Run:
    """A run whose users vary around the value alike for all, so that paired differences are nearly constant."""
    users = value + noise - noise.mean()
    return Run(float(users.mean()), users)


def with_(one: Run, **changes: object) -> Run:
    return one._replace(**changes)  # type: ignore[arg-type]


SURE, BEHIND = spread(0.30), with_(spread(0.20), dim=16)
CASES = {
    "a clear lead": Case({"a": SURE, "b": BEHIND}, "A"),
    "a clear lead of the second": Case({"a": with_(BEHIND, dim=8), "b": with_(SURE, dim=16)}, "B"),
    "a tie": Case({"a": SURE, "b": with_(SURE, dim=16)}, None),
    "a tie without tests and intervals": Case({"a": Run(0.3), "b": Run(0.3, dim=16)}, None),
    "inside the noise by a test": Case({"a": SURE, "b": with_(spread(0.299, OTHER_NOISE), dim=16)}, None),
    "inside the spread between seeds": Case(
        {"a": spread(0.32), "again": with_(spread(0.28), seed=2), "b": with_(spread(0.29), dim=16)}, None
    ),
    "inside the spread between seeds, untested": Case({"a": Run(0.32), "again": Run(0.28, seed=2), "b": Run(0.29, dim=16)}, None),
    "beyond the spread between seeds, untested": Case({"a": Run(0.31), "again": Run(0.30, seed=2), "b": Run(0.2, dim=16)}, "A"),
    "a single contender": Case({"a": SURE}, None),
    "a single contender that beats popularity": Case({"a": SURE}, "A", {"popularity": 0.1}),
    "popularity wins": Case({"a": SURE, "b": BEHIND}, "pop", {"popularity": 0.4}),
    "within noise of popularity": Case({"a": SURE, "b": BEHIND}, None, {"popularity": 0.3}),
    "lower is better": Case({"a": Run(1.0), "b": Run(0.9, dim=16)}, "B", metric="rmse"),
    "untested with overlapping intervals": Case({"a": Run(0.30, error=0.01), "b": Run(0.29, error=0.01, dim=16)}, None),
    "untested with intervals apart": Case({"a": Run(0.30, error=0.01), "b": Run(0.20, error=0.01, dim=16)}, "A"),
    "a baseline that is a run too": Case({"a": with_(spread(0.4), model="popularity"), "b": BEHIND}, "A", {"popularity": 0.4}),
    "the oracle does not compete": Case({"a": SURE, "b": BEHIND}, "A", {"oracle": 0.9}),
    "only the seed differs, seeds apart": Case({"a": Run(0.3), "b": Run(0.2, seed=2)}, None, metric="auc"),
}
Compared = Callable[..., engine.compare.Comparison]


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Case:
    """A case whose runs are in the store; the dataset has its baselines, and popularity's users where there are users of runs."""
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    found: Case = request.param
    known, ends = {}, {}
    for run_id, one in found.runs.items():
        settings = {} if one.model == "popularity" else {"embedding_dim": one.dim}
        train = engine.specs.TrainSpec(seed=one.seed)
        spec = engine.specs.RunSpec(dataset=DATASET, model=engine.specs.MODELS[one.model](**settings), train=train)
        known[run_id] = run(run_id, one.model, spec=spec.model_dump(mode="json"), title=spec.title, metrics={found.metric: one.value})
        error = {} if one.error is None else {f"{found.metric}_se": one.error}
        ends[run_id] = {"metrics": {found.metric: one.value} | error}

    def per_user(run_id: str) -> pd.DataFrame:
        return table(found.runs[run_id].users)

    def table(users: Users) -> pd.DataFrame:
        if users is None:
            raise LookupError("no results of users")
        return pd.DataFrame({"user_id": [str(at) for at in range(USERS)], found.metric: users})

    def of_baseline(dataset: str, name: str) -> pd.DataFrame | None:
        return table(spread(found.baselines[name], OTHER_NOISE if name == "popularity" else NOISE).users)

    for name, made in (("get_run", known.__getitem__), ("done", ends.__getitem__), ("per_user", per_user)):
        monkeypatch.setattr(runs, name, made)
    columns = ["metric", "step", "epoch", "rows", "time_s", "value"]
    monkeypatch.setattr(runs, "history", lambda run_id: pd.DataFrame(columns=columns))
    stored = {name: {found.metric: value} for name, value in found.baselines.items()}
    monkeypatch.setattr(comparison, "_baselines", lambda dataset: stored)
    monkeypatch.setattr(datasets, "baseline_per_user", of_baseline)
    return found


@pytest.fixture
def compared(case: Case) -> engine.compare.Comparison:
    return engine.compare.compare(list(case.runs), seeds="only the seed" not in name_of(case))


def name_of(case: Case) -> str:
    return next(name for name, one in CASES.items() if one is case)


def told(sentence: str, found: engine.compare.Comparison) -> str | None:
    """The letter of whom a sentence calls the winner."""
    if take := re.search(r"\btake \W*([A-Z])\b", sentence):
        return take.group(1)
    better = re.search(r"(\w+) is better than every run", sentence)
    return next((c.letter for c in found.contenders if better and c.name == better.group(1)), None)


def in_row(cells: list[str], marked: Callable[[str], bool], letters: list[str]) -> str | None:
    marks = [letter for letter, cell in zip(letters, cells, strict=True) if marked(cell)]
    assert len(marks) < 2
    return marks[0] if marks else None


def test_the_table_marks_the_winner_of_the_record(case: Case, compared: engine.compare.Comparison) -> None:
    rows = compared.table[compared.table["metric"] == case.metric]
    assert rows.loc[rows["best"].astype(bool), "contender"].tolist() == ([case.winner] if case.winner else [])
    assert engine.compare.verdict_of(compared).winner(case.metric) == case.winner


def test_the_page_says_and_marks_the_winner(case: Case, compared: engine.compare.Comparison) -> None:
    (said,) = verdict.sentences(compared)
    assert told(said, compared) == case.winner
    html = metric_tables.metric_table(compared, compared.against, keys=[case.metric])
    cells = html.split("<tbody>")[1].split("<td>")[1:]
    assert in_row(cells, lambda cell: "★" in cell, [c.letter for c in compared.contenders]) == case.winner


def test_the_command_line_prints_and_gives_the_winner(
    case: Case, compared: engine.compare.Comparison, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine.compare, "compare", lambda *args, **more: compared)
    main(["compare", *case.runs, "--json"])
    *lines, last = capsys.readouterr().out.splitlines()
    letters = [c.letter for c in compared.contenders]
    label = engine.specs.metric(case.metric).label
    (row,) = [line for line in lines if line.startswith(label)]
    cells = [row[20 + 22 * at : 42 + 22 * at] for at in range(len(letters))]
    assert in_row(cells, lambda cell: "*" in cell, letters) == case.winner
    (said,) = [engine.compare.plain(one) for one in engine.compare.sentences(compared)]
    assert said in lines and told(said, compared) == case.winner
    found = json.loads(last)
    assert [r["contender"] for r in found["table"] if r["best"] and r["metric"] == case.metric] == ([case.winner] if case.winner else [])
    assert found["verdict"]["metrics"][case.metric]["winner"] == case.winner
    assert found["sentences"] == [said]


MARKS: dict[str, tuple[Callable[[str], str], str]] = {
    "md": (formats.md, "**"),
    "html": (formats.html, "<strong>"),
    "tex": (formats.tex, r"\textbf{"),
}


@pytest.mark.parametrize("kind", list(engine.report.EXPORTS))
def test_every_export_says_and_marks_the_winner(case: Case, compared: engine.compare.Comparison, kind: str) -> None:
    text = engine.report.export(compared, kind).decode("utf-8-sig")
    letters = [c.letter for c in compared.contenders]
    (said,) = [engine.compare.plain(one) for one in engine.compare.sentences(compared)]
    if kind in MARKS:
        escaped, strong = MARKS[kind]
        label = escaped(engine.specs.metric(case.metric).label)
        row = next(line for line in re.split(r"\n|</tr>", text) if re.match(r"(\| |<tr><td>|.*<tbody><tr><td>)?" + re.escape(label), line))
        cells = re.split(r" \| | & |</td>", row)[1 : len(letters) + 1]
        assert in_row(cells, lambda cell: strong in cell, letters) == case.winner
        sentence = next(line for line in text.splitlines() if said[:8] in line)
        assert told(re.sub(r"<[^>]+>|\\", "", sentence), compared) == case.winner
    elif kind == "csv":
        found = list(csv.DictReader(io.StringIO(text)))
        best = [row["contender"] for row in found if row["name"] == case.metric and row["best"] == "True"]
        assert best == ([case.winner] if case.winner else [])
        (row,) = [row for row in found if row["kind"] == "verdict"]
        assert (row["value"], row["contender"]) == (said, case.winner or "")
    else:
        bundle = json.loads(text)
        assert bundle["verdict"]["metrics"][case.metric]["winner"] == case.winner
        assert bundle["sentences"] == [said]
        facts = [fact for fact in bundle["facts"] if fact["kind"] == "metric" and fact["name"] == case.metric]
        assert [fact["contender"] for fact in facts if fact["best"]] == ([case.winner] if case.winner else [])


def test_a_record_survives_json(compared: engine.compare.Comparison) -> None:
    found = engine.compare.verdict_of(compared)
    assert engine.compare.Verdict.model_validate_json(found.model_dump_json()) == found


def test_tests_of_all_metrics_at_once_are_those_of_each(case: Case, compared: engine.compare.Comparison) -> None:
    bare = compared.model_copy(update={"tests": {}, "verdict": None})
    assert engine.compare.testable(bare) == list(compared.tests)
    for metric, frame in compared.tests.items():
        pd.testing.assert_frame_equal(engine.compare.pairs(bare, metric), frame)
    assert engine.compare.verdict_of(bare) == compared.verdict


def test_a_lead_is_that_of_the_values_and_a_difference_that_of_the_users_in_common() -> None:
    contenders = [engine.compare.Contender(letter=one, run_id=one, name=one, model=one, color_index=0) for one in "AB"]
    table = pd.DataFrame({"metric": "rmse", "contender": ["A", "B"], "value": [0.9, 1.0]})
    tested = {"a": "B", "b": "A", "difference": 0.03, "low": 0.01, "high": 0.05, "p": 0.01, "p_holm": 0.01, "n": 50, "unit": "users"}
    tests = {"rmse": pd.DataFrame([tested | {"verdict": Answer.B_BETTER, "reason": ""}])}
    nothing = pd.DataFrame()
    made = engine.compare.Comparison(
        contenders=contenders, dataset="d", apart=[], table=table, curves=nothing, differences=nothing, costs=nothing, users=1
    )
    (pair,) = engine.compare.judge(made, tests).metrics["rmse"].runs
    assert (pair.a, pair.ahead, pair.reason, pair.method) == ("A", True, None, Method.TEST)
    assert (pair.lead, pair.difference, pair.low, pair.high) == (pytest.approx(-0.1), -0.03, -0.05, -0.01)

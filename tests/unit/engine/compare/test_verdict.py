"""One winner, or none: the table, the command line, --json, every export and the page's sentences name the same one."""

import csv
import html
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
from engine.compare import Answer, Reason, comparison
from engine.report import escape
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


def few(value: float) -> Run:
    """A run of which nine users have a value."""
    users = np.full(USERS, np.nan)
    users[:9] = value + NOISE[:9] - NOISE[:9].mean()
    return Run(value, users)


def with_(one: Run, **changes: object) -> Run:
    return one._replace(**changes)  # type: ignore[arg-type]


SURE, BEHIND = spread(0.30), with_(spread(0.20), dim=16)
CASES = {
    "a clear lead": Case({"a": SURE, "b": BEHIND}, "A"),
    "a clear lead of the second": Case({"a": with_(BEHIND, dim=8), "b": with_(SURE, dim=16)}, "B"),
    "a tie": Case({"a": SURE, "b": with_(SURE, dim=16)}, None),
    "a tie without tests": Case({"a": Run(0.3), "b": Run(0.3, dim=16)}, None),
    "inside the noise by a test": Case({"a": SURE, "b": with_(spread(0.299, OTHER_NOISE), dim=16)}, None),
    "inside what another seed may change": Case(
        {"a": spread(0.34), "again": with_(spread(0.26), seed=2), "b": with_(spread(0.28), dim=16)}, None
    ),
    "nothing was repeated, a small lead": Case({"a": SURE, "b": with_(spread(0.295), dim=16)}, None),
    "no seed, a small lead": Case({"a": with_(SURE, model="ease"), "b": with_(spread(0.295), model="item_knn")}, "A"),
    "no seed, a lead too small to matter": Case({"a": with_(SURE, model="ease"), "b": with_(spread(0.299), model="item_knn")}, None),
    "a single contender": Case({"a": SURE}, None),
    "a single contender that beats popularity": Case({"a": SURE}, "A", {"popularity": 0.1}),
    "popularity wins": Case({"a": SURE, "b": BEHIND}, "pop", {"popularity": 0.4}),
    "within noise of popularity": Case({"a": SURE, "b": BEHIND}, None, {"popularity": 0.3}),
    "lower is better, and nothing was tested": Case({"a": Run(1.0), "b": Run(0.9, dim=16)}, None, metric="rmse"),
    "untested": Case({"a": Run(0.30), "b": Run(0.20, dim=16)}, None),
    "one of three untested": Case({"a": SURE, "b": BEHIND, "c": Run(0.1, dim=32)}, None),
    "a baseline that is a run too": Case({"a": with_(spread(0.4), model="popularity"), "b": BEHIND}, "A", {"popularity": 0.4}),
    "the oracle does not compete": Case({"a": SURE, "b": BEHIND}, "A", {"oracle": 0.9}),
    "only the seed differs, seeds apart": Case({"a": SURE, "b": with_(BEHIND, dim=8, seed=2)}, None),
    "users are few": Case({"a": few(0.3), "b": with_(few(0.2), dim=16)}, None),
}
ALARMS = ["Every test row has the same logit, 0: the model does not look at its input."]
Compared = Callable[..., engine.compare.Comparison]


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Case:
    """A case whose runs are in the store; the dataset has its baselines, and popularity's users where there are users of runs."""
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    found: Case = request.param
    known, ends = {}, {}
    for run_id, one in found.runs.items():
        settings = {"embedding_dim": one.dim} if one.model == "two_tower" else {}
        train = engine.specs.TrainSpec(seed=one.seed)
        spec = engine.specs.RunSpec(dataset=DATASET, model=engine.specs.MODELS[one.model](**settings), train=train)
        known[run_id] = run(run_id, one.model, spec=spec.model_dump(mode="json"), title=spec.title, metrics={found.metric: one.value})
        ends[run_id] = {"metrics": {found.metric: one.value}}

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
    monkeypatch.setattr(runs, "list_runs", lambda kind, dataset: list(known.values()))
    monkeypatch.setattr(runs, "alarms", lambda run_id: ALARMS if run_id == "a" else [])
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
    """The letter of whom a sentence calls the winner: whom to take, or the baseline that beats all."""
    if take := re.search(r"\btake \W*([A-Z])\b", sentence):
        return take.group(1)
    return "pop" if "no run here does better than popularity" in sentence else None


def stage_of(found: engine.compare.Comparison) -> str:
    """The sentence of the stage; another may say who rests on one seed."""
    first, *others = [engine.compare.plain(one) for one in engine.compare.sentences(found)]
    assert all("trained with one seed" in other for other in others) and len(others) < 2
    return first


def in_row(cells: list[str], marked: Callable[[str], bool], letters: list[str]) -> str | None:
    marks = [letter for letter, cell in zip(letters, cells, strict=True) if marked(cell)]
    assert len(marks) < 2
    return marks[0] if marks else None


def test_the_table_marks_the_winner_of_the_record(case: Case, compared: engine.compare.Comparison) -> None:
    rows = compared.table[compared.table["metric"] == case.metric]
    assert rows.loc[rows["best"].astype(bool), "contender"].tolist() == ([case.winner] if case.winner else [])
    assert engine.compare.verdict_of(compared).winner(case.metric) == case.winner


def test_the_page_says_and_marks_the_winner(case: Case, compared: engine.compare.Comparison) -> None:
    said = verdict.sentences(compared)[0]
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
    assert in_row(cells, lambda cell: "★" in cell, letters) == case.winner
    leader = engine.compare.verdict_of(compared).metrics[case.metric].leader
    assert in_row(cells, lambda cell: "☆" in cell, letters) == (leader if leader != case.winner else None)
    alarm = ALARMS[0] if "again" not in case.runs else f"Run 1 of 2: {ALARMS[0]}"
    assert f"⚠ A: {alarm}" in lines
    said = stage_of(compared)
    assert said in lines and told(said, compared) == case.winner
    found = json.loads(last)
    assert [r["contender"] for r in found["table"] if r["best"] and r["metric"] == case.metric] == ([case.winner] if case.winner else [])
    assert found["verdict"]["metrics"][case.metric]["winner"] == case.winner
    assert found["sentences"][0] == said and found["verdict"]["alarms"] == {"A": [alarm]}
    tested = {metric: [pair.model_dump(mode="json") for pair in own] for metric, own in (compared.tests or {}).items()}
    assert found["pairs"] == tested


MARKS: dict[str, tuple[Callable[[str], str], str]] = {
    "md": (escape.md, "**"),
    "html": (html.escape, "<strong>"),
    "tex": (escape.tex, r"\textbf{"),
}


@pytest.mark.parametrize("kind", list(engine.report.EXPORTS))
def test_every_export_says_and_marks_the_winner(case: Case, compared: engine.compare.Comparison, kind: str) -> None:
    text = engine.report.export(compared, kind).decode("utf-8-sig")
    letters = [c.letter for c in compared.contenders]
    said = stage_of(compared)
    if kind in MARKS:
        escaped, strong = MARKS[kind]
        label = escaped(engine.specs.metric(case.metric).label)
        start = r"(\| |.*<tr><th scope=\"row\">)?"
        row = next(line for line in re.split(r"\n|</tr>", text) if re.match(start + re.escape(label) + " ", line))
        cells = re.split(r" \| | & |</t[dh]>", row)[1 : len(letters) + 1]
        assert in_row(cells, lambda cell: strong in cell, letters) == case.winner
        sentence = next(line for line in text.splitlines() if said[:8] in line)
        assert told(re.sub(r"<[^>]+>|\\", "", sentence), compared) == case.winner
    elif kind == "csv":
        found = list(csv.DictReader(io.StringIO(text)))
        best = [row["contender"] for row in found if row["name"] == case.metric and row["best"] == "True"]
        assert best == ([case.winner] if case.winner else [])
        row = next(row for row in found if row["kind"] == "verdict")
        assert (row["value"], row["contender"]) == (said, case.winner or "")
    elif kind == "ipynb":  # the marks come when it is executed
        opening = "".join(json.loads(text)["cells"][0]["source"])
        (sentence,) = [line for line in opening.splitlines() if re.sub("<[^>]+>", "", html.unescape(line)).replace("**", "") == said]
        assert told(sentence.replace("**", ""), compared) == case.winner
    else:
        bundle = json.loads(text)
        assert bundle["verdict"]["metrics"][case.metric]["winner"] == case.winner
        assert bundle["sentences"][0] == said and list(bundle["verdict"]["alarms"]) == ["A"]
        facts = [fact for fact in bundle["facts"] if fact["kind"] == "metric" and fact["name"] == case.metric]
        assert [fact["contender"] for fact in facts if fact["best"]] == ([case.winner] if case.winner else [])


def test_a_record_survives_json(compared: engine.compare.Comparison) -> None:
    found = engine.compare.verdict_of(compared)
    assert engine.compare.Verdict.model_validate_json(found.model_dump_json()) == found


def test_tests_of_all_metrics_at_once_are_those_of_each(case: Case, compared: engine.compare.Comparison) -> None:
    bare = compared.model_copy(update={"tests": None, "verdict": None})
    assert engine.compare.testable(bare) == list(compared.tests or {})
    for metric, tested in (compared.tests or {}).items():
        assert engine.compare.pairs(bare, metric) == tested
    assert engine.compare.verdict_of(bare).metrics == engine.compare.verdict_of(compared).metrics


def test_a_lead_is_that_of_the_values_and_a_difference_that_of_the_users_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "alarms", lambda run_id: [])
    contenders = [engine.compare.Contender(letter=one, run_id=one, name=one, model=one, color_index=0) for one in "AB"]
    table = pd.DataFrame({"metric": "rmse", "contender": ["A", "B"], "value": [0.9, 1.0]})
    tested = {"difference": 0.03, "low": 0.01, "high": 0.05, "p": 0.01, "p_holm": 0.01, "n": 50, "unit": "users", "lead": 0.03}
    pair = engine.compare.PairVerdict(a="B", b="A", metric="rmse", answer=Answer.B_BETTER, **tested)
    nothing = pd.DataFrame()
    made = engine.compare.Comparison(
        contenders=contenders, dataset="d", apart=[], table=table, curves=nothing, differences=nothing, costs=nothing, users=1
    )
    (seen,) = engine.compare.judge(made, {"rmse": [pair]}).metrics["rmse"].runs
    assert (seen.a, seen.ahead, seen.reason) == ("A", True, None)
    assert (seen.lead, seen.difference, seen.low, seen.high) == (pytest.approx(-0.1), -0.03, -0.05, -0.01)
    against = pair.model_copy(update={"answer": Answer.A_BETTER})  # over the rows that were kept it is the other way round
    (seen,) = engine.compare.judge(made, {"rmse": [against]}).metrics["rmse"].runs
    assert (seen.ahead, seen.reason) == (False, Reason.UNTESTED)

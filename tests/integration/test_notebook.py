"""The exported notebook, executed by Jupyter on a real workspace: it says and draws what the page does, and trains what it says."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

import engine
from engine.cli import main
from engine.compare import plain, sentences
from engine.report import View
from tests import stores, workspace
from tests.compared import NASTY
from tests.tiny import groups
from tests.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
LOUD = "print('run " + "by a name') #"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace in which a run has a name of code and of markup."""
    kept = stores.once(tmp_path_factory, "films", lambda folder: workspace.keep(workspace.build(folder / "workspace"), folder))
    found = workspace.copy(workspace.kept(kept), tmp_path_factory.mktemp("notebook") / "workspace")
    with workspace.entered(found.folder):
        engine.runs.rename(found.runs["ease"], f"{LOUD} {NASTY[0]}"[:80])
        yield found


def executed(path: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> Any:
    """A notebook after Jupyter ran it from top to bottom, in a folder of its own; `more`: code that is run last."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    if more:
        notebook.cells.append(nbformat.v4.new_code_cell(more))
    for name, value in {"PYTHONPATH": str(ROOT), "JUPYTER_RUNTIME_DIR": str(path.parent / "run"), "IPYTHONDIR": str(path.parent)}.items():
        monkeypatch.setenv(name, value)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    return client.execute()


def outputs(notebook: Any, id: str) -> list[Any]:
    return next(cell.outputs for cell in notebook.cells if cell.id == id)


def printed(notebook: Any, id: str) -> str:
    return "".join(one.text for one in outputs(notebook, id) if one.output_type == "stream" and one.name == "stdout")


def shown(notebook: Any, id: str, kind: str = "text/plain") -> str:
    return "\n".join(one.data[kind] for one in outputs(notebook, id) if one.output_type in ("display_data", "execute_result"))


def test_the_notebook_says_and_draws_what_the_page_does(films: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = films.ids("two_tower", "dlrm", "ease").split(",")
    comparison = engine.compare.compare(ids, baseline=ids[0], k=5, threshold=0.02)
    path = tmp_path / "it.ipynb"
    before = sorted(film for film in films.folder.rglob("*") if film.suffix == ".json")
    path.write_bytes(engine.report.export(comparison, "ipynb", View(curve="train_loss", quality="auc", slice_by="popularity")))
    code = {one["id"]: "".join(one["source"]) for one in json.loads(path.read_text())["cells"] if one["cell_type"] == "code"}
    assert not [id for id, text in code.items() if str(films.folder) in text and id != "specs"]  # where the source was, as in the spec
    ran = executed(path, monkeypatch, "print(json.dumps(record))")
    said = [plain(one) for one in sentences(comparison)]
    assert printed(ran, "verdict-record").strip().split("\n\n") == said
    streams = [out.get("text", "") for one in ran.cells if one.cell_type == "code" for out in one.outputs]
    assert "run by a name\n" not in streams
    table = shown(ran, "metrics-table", "text/html")
    for row in comparison.table.dropna(subset=["value"]).to_dict("records"):
        assert f"{row['value']:.4f}" in table or abs(row["value"]) >= 100
    assert "<img src" not in shown(ran, "open", "text/html") and "tex2jax_ignore" in table
    for id in ("intervals", "curves", "quality-and-cost", "pairs"):
        assert base64.b64decode(shown(ran, id, "image/png")).startswith(b"\x89PNG"), id
    assert code["curves"].endswith("key='train_loss')") and "key='auc'" in code["quality-and-cost"]
    record = engine.compare.verdict_of(comparison).model_dump(mode="json")
    assert json.loads("".join(one.text for one in ran.cells[-1].outputs)) == json.loads(json.dumps(record))
    assert [key for key in record["metrics"] if key not in shown(ran, "verdict-record")] == []
    listed = shown(ran, "lists-table")
    assert all(letter in listed.splitlines()[0] for letter in "ABC") and len(listed.splitlines()) >= 11
    assert "recbench train a.json b.json c.json --wait" in printed(ran, "specs")
    assert sorted(film for film in films.folder.rglob("*") if film.suffix == ".json") == before  # it only read


def test_the_lists_are_those_of_the_models(films: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it.ipynb"
    main(["compare", films.runs["two_tower"], films.runs["seed2"], "--export", str(path)])  # one contender of two seeds
    ran = executed(path, monkeypatch, "print(len(comparison.contenders[0].run_ids), user_id, *lists['A'].tolist(), sep='\\n')")
    seeds, user, *titles = "".join(one.text for one in ran.cells[-1].outputs).strip().split("\n")
    best = engine.recommend.open_model(films.runs["two_tower"]).recommend(user, 10)
    assert seeds == "2" and [title.removesuffix(" ✓") for title in titles] == best["title"].tolist()
    assert [title.endswith(" ✓") for title in titles] == best["liked"].tolist()


def test_clicks_without_users_have_a_notebook_too(films: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it.ipynb"
    main(["compare", films.runs["clicks"], "--export", str(path)])
    ran = executed(path, monkeypatch)
    assert not [one for one in ran.cells if one.id.startswith("lists")] and "AUC" in shown(ran, "metrics-table")


@pytest.mark.thorough
def test_what_it_trains_again_is_what_was_compared(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a table of users who like the items of their own group: prepared, trained and compared in Python, then again by the notebook."""
    folder = stores.copy(empty_store, tmp_path / "workspace")
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    rated = groups().assign(label=lambda rows: 1 + 4 * rows["label"])
    rated.drop(columns="split").to_csv(tmp_path / "groups.csv", index=False)
    roles = [{"name": name, "role": role} for name, role in (("user_id", "user"), ("item_id", "item"), ("label", "label"))]
    source = {"kind": "table", "path": str(tmp_path / "groups.csv"), "columns": roles}
    spec = engine.datasets.DatasetSpec.model_validate({"name": "groups", "source": source, "split": {"kind": "random"}})
    dataset = engine.runs.wait(engine.runs.submit(spec)).dataset
    run_spec = engine.specs.RunSpec.model_validate({"dataset": dataset, "model": {"kind": "ease", "l2": 10}})
    first = engine.runs.wait(engine.runs.submit(run_spec))
    path = tmp_path / "it.ipynb"
    main(["compare", first.run_id, "--export", str(path)])
    ran = executed(path, monkeypatch, "print(*train_again())")
    (again,) = "".join(one.text for one in ran.cells[-1].outputs if one.output_type == "stream").split()
    assert again != first.run_id and engine.runs.get_run(again).metrics == first.metrics

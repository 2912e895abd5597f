"""recbench export-onnx: whoever has the files alone, and onnxruntime, makes the lists that the page makes."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import engine
from engine.cli import main
from tests.workspace import Workspace


class Served:
    """A server that reads towers.json and the files that it names, and nothing of ours."""

    def __init__(self, folder: Path) -> None:
        self.facts = json.loads((folder / "towers.json").read_text())
        self.sessions = {side: onnxruntime.InferenceSession(str(folder / self.facts[side]["file"])) for side in ("user", "item")}
        rows = pd.read_parquet(folder / self.facts["vocabularies"]["item_id"])
        self.items = rows.sort_values("row")["value"].tolist()
        self.row = dict(zip(rows["value"], rows["row"], strict=True))

    def scores(self, liked: list[str]) -> np.ndarray:
        (history, lengths) = self.facts["user"]["inputs"]
        assert history["vocabulary"] == "item_id" and "newest last" in history["means"]
        given: dict[str, Any] = {history["name"]: np.array([[self.row[one] for one in liked]], np.int64)}
        user = self.sessions["user"].run(["vector"], given | {lengths["name"]: np.array([len(liked)], np.int64)})[0]
        items = self.sessions["item"].run(["vector"], self.of_items())[0]
        return np.asarray(user @ items.T + self.facts["offset"])[0]

    def of_items(self) -> dict[str, np.ndarray]:
        """The inputs of every item: of this dataset the id alone is known here, so others come from the prepared table."""
        table = pd.read_parquet(engine.datasets.get_dataset(self.facts["dataset"]).path / "items.parquet").sort_values("row")
        return {one["name"]: table[f"feature.{one['name']}"].to_numpy(np.int64) for one in self.facts["item"]["inputs"]}


@pytest.mark.slow
def test_the_files_alone_give_the_scores_of_the_model(shared: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export-onnx", shared.runs["two_tower"], str(tmp_path / "towers")])
    said = capsys.readouterr().out
    assert "9 numbers each" in said and f"{tmp_path / 'towers'}" in said
    served, model = Served(tmp_path / "towers"), engine.recommend.open_model(shared.runs["two_tower"])
    assert served.items == model.items["item_id"].tolist() and served.facts["difference"] < 1e-5
    for liked in (served.items[:1], served.items[3:9], served.items[::-2]):
        expected = model.scores_of_new(liked)
        ours = served.scores(liked)
        new = np.isfinite(expected)  # liked items are not recommended again
        np.testing.assert_allclose(ours[new], expected[new], rtol=1e-5, atol=1e-5)
    written = json.dumps(served.facts)
    assert str(shared.folder) not in written and str(tmp_path) not in written


def test_what_has_no_towers_is_refused_with_the_reason(shared: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dlrm", "ease", "funnel"):
        with pytest.raises(SystemExit, match="Only the towers of a two-tower can be written as ONNX"):
            main(["export-onnx", shared.runs[name], str(tmp_path / name)])
        assert not (tmp_path / name).exists()
    (tmp_path / "note.txt").touch()
    with pytest.raises(SystemExit, match="is not an empty folder; choose a new one"):
        main(["export-onnx", shared.runs["two_tower"], str(tmp_path)])
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(SystemExit, match="needs onnxscript: `uv run --extra onnx"):
        main(["export-onnx", shared.runs["two_tower"], str(tmp_path / "none")])

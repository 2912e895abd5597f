"""A prepared dataset is opened once: what its manifest says is typed, and one without a manifest is none."""

import json
from pathlib import Path

import pytest

from tests import tiny
from workers.artifacts import PreparedDataset
from workers.specs import BINARY


@pytest.mark.parametrize("output", tiny.OUTPUTS)
def test_a_dataset_says_what_is_predicted_and_how_much_there_is(output: str, tmp_path: Path) -> None:
    frame = tiny.with_target(tiny.groups(), output)
    schema = tiny.write(frame, tmp_path / "dataset", output=output)
    dataset = PreparedDataset.open(tmp_path / "dataset")
    assert (dataset.folder, dataset.schema, dataset.block_rows) == (tmp_path / "dataset", schema, tiny.BLOCK)
    assert (dataset.task.output, dataset.label) == (output, tiny.OUTPUTS[output])
    assert dataset.interactions == frame["split"].value_counts().to_dict()
    assert dataset.positives == frame[frame["label"] > 0]["split"].value_counts().to_dict()
    assert dataset.num_users == 60


def test_an_older_manifest_without_a_label_is_binary(tmp_path: Path) -> None:
    tiny.write(tiny.groups(), tmp_path / "dataset")
    path = tmp_path / "dataset" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["label"]
    path.write_text(json.dumps(manifest))
    dataset = PreparedDataset.open(tmp_path / "dataset")
    assert (dataset.task, dict(dataset.label)) == (BINARY, {})


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PreparedDataset.open(tmp_path)

"""The first part of the data: an id of its own, and none that a dataset of all rows did not have before."""

import hashlib
import json
from pathlib import Path

import pandas as pd

from engine.datasets import DatasetSpec, dataset_id
from engine.datasets.read import FORMAT, KNOWN_AT_TEST, fingerprint
from tests.given import given


def test_all_rows_keep_the_id_from_before_there_was_a_choice(tmp_path: Path) -> None:
    rows = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "rating": [5.0, 1.0], "timestamp": [1, 2]})
    whole = DatasetSpec(name="ties", source=given(tmp_path / "s", rows))
    before = whole.model_dump(mode="json", exclude={"name", "source"})
    assert before["split"].pop("until") == 1
    content = {
        "format": FORMAT,
        "known_at_test": KNOWN_AT_TEST,
        "source": {"kind": "given", "content": whole.source.fingerprint()},
        **before,
    }
    assert fingerprint(whole) == hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    part = whole.model_copy(update={"split": whole.split.model_copy(update={"until": 0.8})})
    assert dataset_id(part) != dataset_id(whole)

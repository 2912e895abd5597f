"""Duplicates, minimums, splits and label rules, against what a person works out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.datasets.spec import DatasetSpec
from engine.preview.first_rows import preview, preview_rows
from engine.preview.labels import label_rows
from engine.preview.rows import COPY, PAIRS, in_core, set_aside_pairs, split_rows
from tests.given import given

# the first three rows are copies; a and x meet three more times, with other labels
ROWS = [("a", "x", 4, 10), ("a", "x", 4, 10), ("a", "x", 4, 10), ("a", "x", 2, 30), ("a", "x", 5, 20), ("b", "y", 3, 5), ("b", "x", 3, 6)]


def spec_of(folder: Path, rows: Any = ROWS, columns: str = "user_id item_id rating timestamp", **fields: Any) -> DatasetSpec:
    table = pd.DataFrame(rows, columns=columns.split())
    source = given(folder / "source", table, **{k: fields.pop(k) for k in ("reads", "told", "preset") if k in fields})
    return DatasetSpec(name="given", source=source, **fields)


@pytest.mark.fault("F50")
@pytest.mark.parametrize(
    "policy, kept, reason",
    [("keep", [0, 1, 2, 3, 4, 5, 6], None), ("exact", [0, 3, 4, 5, 6], None), ("latest", [3, 5, 6], PAIRS["latest"]),
     ("first", [0, 5, 6], PAIRS["first"]), ("mean", [3, 5, 6], PAIRS["mean"])],
)  # fmt: skip
def test_duplicates_are_set_aside_under_the_policy(tmp_path: Path, policy: str, kept: list[int], reason: str | None) -> None:
    spec = spec_of(tmp_path, duplicates=policy)
    rows, pairs = set_aside_pairs(preview_rows(spec.source), spec)
    assert rows.index[rows["reason"].isna()].tolist() == kept
    assert (pairs.copies, pairs.repeated, pairs.conflicting) == (2, 1, 1)
    if policy != "keep":
        assert rows["reason"].eq(COPY).sum() == 2
    if reason:
        assert rows["reason"].eq(reason).sum() == 2
    if policy == "mean":
        assert rows.loc[3, "rating"] == pytest.approx((4 + 2 + 5) / 3)


def test_minimums_are_repeated_until_all_that_are_left_have_enough(tmp_path: Path) -> None:
    # z is met twice, but one of the two is by c, who has too little; without c, z has too little; without z, b has
    pairs = [("a", "x"), ("a", "y"), ("d", "x"), ("d", "y"), ("b", "x"), ("b", "z"), ("c", "z")]
    spec = spec_of(tmp_path, [(u, i, 4, k) for k, (u, i) in enumerate(pairs)], min_user_interactions=2, min_item_interactions=2)
    rows = preview_rows(spec.source).assign(split="train")
    assert rows.index[in_core(rows, spec)].tolist() == [0, 1, 2, 3]


@pytest.mark.fault("F61")
def test_a_row_that_stands_on_both_sides_is_refused(tmp_path: Path) -> None:
    rows = [("a", "x", 4, 1, "train"), ("a", "x", 4, 1, "test"), ("b", "x", 1, 2, "valid"), ("b", "y", 1, 2, "train")]
    spec = spec_of(tmp_path, rows, "user_id item_id rating timestamp split", reads={"split": True}, split={"kind": "column"})
    with pytest.raises(ValueError, match="2 rows have a copy in another part of the split"):
        preview(spec)


@pytest.mark.fault("F50", "F61")
def test_copies_that_are_kept_may_not_straddle_a_split_per_user(tmp_path: Path) -> None:
    rows = [("a", f"i{k}", 4, k) for k in range(9)] + [("a", "i8", 4, 8)] + [("b", f"i{k}", 1, k) for k in range(9)]
    fields = {"split": {"kind": "per_user", "test": 0.1, "valid": 0.1}}
    with pytest.raises(ValueError, match="Set duplicates to exact"):
        preview(spec_of(tmp_path, rows, duplicates="keep", **fields))
    assert preview(spec_of(tmp_path / "2", rows, **fields)).audit.exact_copies == 1


def test_a_random_split_has_its_shares_and_no_copy_on_two_sides(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(f"u{rng.integers(50)}", f"i{rng.integers(60)}", 4) for _ in range(6000)]
    spec = spec_of(tmp_path, rows, "user_id item_id rating", reads={"time": None}, split={"kind": "random", "test": 0.2}, duplicates="keep")
    read = preview_rows(spec.source)
    read["split"] = split_rows(read, spec)
    assert read["split"].value_counts(normalize=True)["test"] == pytest.approx(0.2, abs=0.03)
    assert read.groupby(["user_id", "item_id"])["split"].nunique().eq(1).all()


def labels(tmp_path: Path, values: list[Any], label: dict[str, Any], **fields: Any) -> tuple[list[float], Any]:
    """Rows of users a, a, b, b, …; the last row is test, the last but one valid."""
    split = ["train"] * (len(values) - 2) + ["valid", "test"]
    table = pd.DataFrame(
        {"user_id": [f"u{k // 2}" for k in range(len(values))], "item_id": [f"i{k}" for k in range(len(values))], "split": split}
    )
    category = fields.get("reads", {}).get("value") == "category"
    table["category" if category else "rating"] = values
    source = given(tmp_path / "source", table, reads={"split": True, "time": None, **fields.pop("reads", {})})
    spec = DatasetSpec(name="g", source=source, label=label, split={"kind": "column"}, **fields)
    found, rule = label_rows(preview_rows(source), spec)
    return found.tolist(), rule


def test_a_rule_reads_train_alone(tmp_path: Path) -> None:
    found, rule = labels(tmp_path / "mean", [1, 3, 2, 2, 5, 5], {"kind": "mean"})
    assert rule.threshold == 2
    assert found == [0, 1, 1, 1, 1, 1]
    found, rule = labels(tmp_path / "user", [1, 3, 4, 5, 2, 1.9], {"kind": "user_mean"})
    assert found == [0, 1, 0, 1, 0, 0], "u2 is not in train: train's mean of 3.25 counts"
    assert rule.threshold is None


def test_labels_that_are_given_are_two_values(tmp_path: Path) -> None:
    assert labels(tmp_path / "a", [0, 1, 0, 1], {"kind": "given"})[0] == [0, 1, 0, 1]
    assert labels(tmp_path / "b", [-1, 1, -1, 1], {"kind": "given"})[0] == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="the labels are 1, 2, 3"):
        labels(tmp_path / "c", [1, 2, 3, 1], {"kind": "given"})


def test_regression_classes_and_actions_say_what_is_liked(tmp_path: Path) -> None:
    found, rule = labels(tmp_path / "r", [1, 3, 2, 4], {"kind": "regression", "liked_from": 3})
    assert (found, rule.output, rule.threshold) == ([0, 1, 0, 1], "regression", 3)
    found, rule = labels(
        tmp_path / "c", ["bad", "good", "ok", "good"], {"kind": "multi_class", "liked": ["good", "ok"]}, reads={"value": "category"}
    )
    assert (found, rule.classes) == ([0, 1, 1, 1], ["bad", "good", "ok"])
    found, rule = labels(tmp_path / "n", [10, 2, 2, 10], {"kind": "multi_class"})
    assert (found, rule.classes, rule.liked) == ([1, 0, 0, 1], ["2", "10"], ["10"])
    found, rule = labels(
        tmp_path / "a", ["view", "buy", "view", "cart"], {"kind": "actions", "liked": ["buy"]}, reads={"value": "category"}
    )
    assert (found, rule.classes) == ([0, 1, 0, 0], ["view", "buy", "cart"])
    assert labels(tmp_path / "d", ["view", "buy", "view", "cart"], {"kind": "actions"}, reads={"value": "category"})[1].liked == [
        "buy",
        "cart",
    ]
    with pytest.raises(ValueError, match=r"label\.liked names sold; the data have view, buy, cart"):
        labels(tmp_path / "x", ["view", "buy", "view", "cart"], {"kind": "actions", "liked": ["sold"]}, reads={"value": "category"})
    with pytest.raises(ValueError, match="at most 100 can be classes"):
        labels(tmp_path / "m", list(range(103)), {"kind": "multi_class"})


def test_events_of_several_kinds_become_one_row_a_pair(tmp_path: Path) -> None:
    rows = [("a", "x", "view", 1), ("a", "x", "view", 2), ("a", "x", "buy", 3), ("b", "x", "view", 4)]
    spec = spec_of(tmp_path, rows, "user_id item_id category timestamp", reads={"value": "category"}, label={"kind": "actions"})
    found, _ = set_aside_pairs(preview_rows(spec.source), spec)
    assert found.index[found["reason"].isna()].tolist() == [2, 3]
    assert found.loc[2, "category"] == "buy|view"


def test_rules_that_the_source_cannot_give_are_refused_in_the_spec(tmp_path: Path) -> None:
    for place, (read, fields, said) in enumerate(
        [
            ({"value": "none"}, {"label": {"kind": "mean"}}, "label.kind is mean, which this source cannot give; choose implicit"),
            ({"time": None}, {"split": {"kind": "time"}}, "the source has no timestamp"),
            ({}, {"split": {"kind": "column"}}, "no column is mapped to the split"),
            ({"user": False}, {"split": {"kind": "per_user"}}, "the source has no user"),
            ({"user": False}, {"duplicates": "latest"}, "no user and item, so no pairs"),
            ({"value": "category"}, {"duplicates": "mean", "label": {"kind": "actions"}}, "no rating to take the mean of"),
            ({}, {"log1p": ("price",)}, "log1p names price; the source has no features"),
            ({}, {"split": {"kind": "time", "valid": 0.45, "test": 0.45}}, "leave at least 0.1 to train on"),
        ]
    ):
        source = given(tmp_path / str(place), pd.DataFrame({"user_id": ["a"]}), reads=read)
        with pytest.raises(ValueError, match=said):
            DatasetSpec(name="g", source=source, **fields)

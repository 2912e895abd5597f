"""Tables with every kind of bad row, from the file to the audit: each row is used as it stands, or set aside with its number and reason."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine import report
from engine.datasets import Audit
from engine.datasets.spec import DatasetSpec
from engine.preview.first_rows import Preview, preview, preview_rows
from engine.sources.table import TableSource
from engine.tables.inspect import inspect_table
from tests.given import given

GOOD = [f"u{n % 9},i{n % 7},{1 + n % 5},{1_700_000_000 + 1000 * n}" for n in range(90)]
HEADER = "user,item,rating,time"


def table(folder: Path, lines: list[str | bytes], **fields: Any) -> TableSource:
    """A file of these lines after the header, mapped as the workbench itself proposes."""
    folder.mkdir(parents=True, exist_ok=True)
    content = [line if isinstance(line, bytes) else line.encode() for line in [HEADER, *lines]]
    (folder / "t.csv").write_bytes(b"\n".join(content) + b"\n")
    return TableSource(**{**inspect_table(str(folder / "t.csv")).spec_fields(), **fields})


def audited(source: Any, **fields: Any) -> Preview:
    found = preview(DatasetSpec(name="bad", source=source, **fields))
    assert found.audit.rows_used + sum(found.audit.set_aside.values()) == found.audit.rows_read
    return found


def said(audit: Audit, level: str) -> str:
    return " ".join(finding.text for finding in audit.findings if finding.level == level)


@pytest.mark.fault("F46", "F49", "F51")
def test_rows_that_cannot_be_used_have_their_number_and_reason_and_can_be_downloaded(tmp_path: Path, workspace: Path) -> None:
    bad: list[str | bytes] = [
        "u1,i1,5,1700000000\x00", b"u1,caf\xe9,5,1700000000", "u1,i1,5", ",i1,5,1700000000", "u1,  ,5,1700000000", "u1,i1,much,1700000000",
        "u1,i1,inf,1700000000", "u1,i1,nan,1700000000", "u1,i1,5,soon", "u1,i1,5,",
    ]  # fmt: skip
    found = audited(table(tmp_path, [*GOOD, *bad], encoding="utf-8"))
    reasons = dict(zip(found.set_aside["row"], found.set_aside["reason"], strict=True))
    assert reasons == {
        91: "a NUL byte", 92: "bytes that are not UTF-8 text", 93: "3 fields instead of 4", 94: "no user id", 95: "no item id",
        96: "the rating is not a number", 97: "the rating is infinite", 98: "the rating is not a number",
        99: "the timestamp cannot be read", 100: "no timestamp",
    }  # fmt: skip
    assert found.audit.rows_used == 90
    lines = report.csv_safe(found.set_aside).decode("utf-8-sig").splitlines()
    assert lines[0].replace('"', "") == "row,reason,raw" and len(lines) == 11
    assert "the rating is not a number" in lines[6] and "much" in lines[6]


@pytest.mark.fault("F48")
def test_ids_are_kept_to_the_letter_from_the_file_to_the_rows(tmp_path: Path, workspace: Path) -> None:
    ids = ["NA", "null", "None", "nan", "007", "7", "7.0", "1234567890123456789", "1234567890123456788", "1e5", "100000", "-5", "true", "ü"]
    source = table(
        tmp_path, [f"{user},{item},{1 + n % 5},{1_700_000_000 + n}" for n, (user, item) in enumerate(zip(ids, ids[::-1], strict=True))]
    )
    rows = preview_rows(source)
    assert rows["user_id"].tolist() == ids and rows["item_id"].tolist() == ids[::-1]
    found = audited(source, split={"kind": "random"})
    assert (found.audit.users, found.audit.items) == (14, 14), "no two of them are one"
    assert "2 user ids have 16 digits or more" in said(found.audit, "info")


@pytest.mark.fault("F50")
def test_copies_and_conflicts_are_counted_under_every_policy(tmp_path: Path, workspace: Path) -> None:
    again: list[str | bytes] = [GOOD[0], GOOD[0], GOOD[1], f"u0,i0,2,{1_800_000_000}", f"u0,i0,4,{1_800_000_001}"]
    source = table(tmp_path, [*GOOD, *again])
    for policy, aside in (("exact", 3), ("latest", None), ("first", None), ("mean", None)):
        audit = audited(source, duplicates=policy, split={"kind": "random"}).audit
        assert audit.rows_read == 95 and audit.exact_copies == 3 and audit.conflicting_pairs >= 1
        assert aside in (None, sum(audit.set_aside.values()))
        assert f"duplicates is {policy}" in said(audit, "warn") + said(audit, "info")


@pytest.mark.fault("F51")
@pytest.mark.parametrize("rating", ["5", "1", "0"])
def test_labels_of_one_value_teach_nothing_and_block(tmp_path: Path, workspace: Path, rating: str) -> None:
    rows = [line.split(",") for line in GOOD]
    source = table(tmp_path, [f"{user},{item},{rating},{time}" for user, item, _, time in rows])
    audit = audited(source, label={"kind": "threshold", "threshold": 4}).audit
    assert "there is nothing to learn" in said(audit, "block")


@pytest.mark.fault("F51")
def test_labels_out_of_range_are_flagged_or_set_aside_by_a_range(tmp_path: Path, workspace: Path) -> None:
    odd: list[str | bytes] = ["u1,i1,-1,1700000000", "u2,i2,999,1700000000", "u3,i3,1e308,1700000000"]
    found = audited(table(tmp_path, [*GOOD * 4, *odd]), duplicates="keep", split={"kind": "random"})
    warned = said(found.audit, "warn")
    assert "far outside the range of all others" in warned and "1 labels are below 0" in warned
    ranged = audited(table(tmp_path / "ranged", [*GOOD, *odd], low=1, high=5))
    assert ranged.audit.set_aside == {"the rating is outside 1 to 5": 3}
    assert json.loads(ranged.audit.model_dump_json())["rows_used"] == 90


@pytest.mark.fault("F52")
def test_times_in_any_order_from_1970_to_the_future_give_one_split(tmp_path: Path, workspace: Path) -> None:
    odd: list[str | bytes] = ["u1,i1,5,0", "u2,i2,5,4102444800", "u3,i3,4,1700000000", "u4,i4,3,1700000000"]
    lines = [*GOOD, *odd]
    found = audited(table(tmp_path, lines, time_unit="s"))
    warned = said(found.audit, "warn")
    assert "1 January 1970" in warned and "in the future, up to 2100-01-01" in warned
    turned = audited(table(tmp_path / "turned", lines[::-1], time_unit="s"))
    assert turned.audit.splits == found.audit.splits
    assert turned.audit.timeline == found.audit.timeline


@pytest.mark.fault("F52")
def test_times_of_a_zone_are_those_moments(tmp_path: Path, workspace: Path) -> None:
    zones = ["2024-01-31T10:00:00+02:00", "2024-01-31T08:00:00Z", "2024-01-31T03:00:00-05:00", "2024-01-31 08:00:00"]  # without: UTC
    source = table(tmp_path, [f"u{n},i{n},5,{zones[n % 4]}" for n in range(40)])
    assert source.time_unit == "iso"
    assert set(preview_rows(source)["timestamp"]) == {1_706_688_000}
    assert "All rows have the same timestamp" in said(audited(source).audit, "warn")


@pytest.mark.fault("F53")
def test_items_without_a_row_in_the_catalogue_and_the_reverse_are_counted(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"user_id": [f"u{n % 9}" for n in range(90)], "item_id": [f"i{n % 7}" for n in range(90)], "rating": [1 + n % 5 for n in range(90)],
         "timestamp": range(90)}
    )  # fmt: skip
    items = pd.DataFrame(
        {"item_id": ["i0", "i1", "never met"], "title": ["A", "B", "C"], "genres": None, "colour": ["red", "blue", "green"]}
    )
    users = pd.DataFrame({"user_id": ["u0", "nobody"], "age": [30.0, 40.0]})
    told = (("colour", "item", "single"), ("age", "user", "dense"))
    found = audited(given(tmp_path / "s", rows, items=items, users=users, told=told), split={"kind": "random"}, min_count=1)
    assert "5 of 7 items have no title; their id is shown" in said(found.audit, "info")
    assert (found.audit.rows_used, found.audit.items) == (90, 7)
    colour, age = sorted(found.audit.features, key=lambda one: one.name, reverse=True)
    assert (colour.rows, colour.missing) == (8, 5 / 8), "three of the catalogue, and five that it lacks"
    assert (age.rows, age.missing) == (10, 8 / 10)
    assert found.head["title"].isna().any() and len(found.head) == 90


@pytest.mark.fault("F55", "F56")
@pytest.mark.parametrize("split", ["time", "per_user", "random"])
def test_users_of_one_row_and_of_a_hundred_thousand_are_split_and_counted(tmp_path: Path, split: str) -> None:
    rng = np.random.default_rng(0)
    few = pd.DataFrame({"user_id": [f"once{n}" for n in range(30)], "item_id": "met by many"})
    busy = pd.DataFrame({"user_id": "busy", "item_id": [f"i{n}" for n in range(100_000)]})
    usual = pd.DataFrame({"user_id": [f"u{n % 40}" for n in range(2000)], "item_id": [f"i{n}" for n in rng.integers(0, 50, 2000)]})
    rows = pd.concat([few, busy, usual], ignore_index=True)
    rows = rows.assign(rating=rng.integers(1, 6, len(rows)), timestamp=rng.permutation(len(rows)))
    found = audited(given(tmp_path / "s", rows), split={"kind": split}, duplicates="keep" if split != "per_user" else "exact")
    audit = found.audit
    assert (audit.users, audit.items) == (71, 100_001)
    assert dict(audit.activity)[1] == 30 and audit.activity[-1] == (65_536, 1)
    test = audit.splits["test"]
    assert sum(facts.rows for facts in audit.splits.values()) == audit.rows_used
    if split == "per_user":
        assert test.cold_users == 0 and test.users == 41, "whoever has one row stays in train"
    else:
        assert (test.cold_users or 0) >= 1
    assert 0 < (test.users_to_rank or 0) <= 41, "whoever likes nothing new in test is not ranked for"
    assert (test.users_to_rank or 0) <= (test.users or 0) - (test.cold_users or 0)

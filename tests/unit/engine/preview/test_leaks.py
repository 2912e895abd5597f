"""A feature that alone tells the label is found, by its value or by its presence; one that does not is left alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from engine.datasets import Audit, FeatureFacts
from engine.datasets.spec import DatasetSpec
from engine.preview.first_rows import preview
from engine.preview.leaks import train_rows, with_label_auc
from tests.given import given
from workers.prepare import SourceFeature

TOLD = tuple(
    (name, "context", kind)
    for name, kind in (("conversion", "dense"), ("outcome", "single"), ("badges", "multi"), ("price", "dense"), ("shop", "single"),
                       ("code", "single"))
)  # fmt: skip


def clicks(rows: int = 600) -> pd.DataFrame:
    """A label by chance, and features of which three tell it: one by being there, one by its value, one by what is in its bag."""
    rng = np.random.default_rng(2)
    label = rng.random(rows) < 0.3
    return pd.DataFrame(
        {
            "user_id": [f"u{k}" for k in rng.integers(0, 50, rows)],
            "item_id": [f"i{k}" for k in rng.integers(0, 50, rows)],
            "rating": label.astype(float),
            "timestamp": rng.permutation(rows),
            "conversion": np.where(label, rng.normal(5, 1, rows), np.nan),
            "outcome": np.where(label, rng.choice(["bought", "kept"], rows), rng.choice(["left", "lost"], rows)),
            "badges": np.where(label, "seen|buyer", rng.choice(["seen", "seen|new"], rows)),
            "price": rng.lognormal(2, 1, rows) + label,
            "shop": rng.choice(["p", "q", None], rows),
            "code": [f"c{k}" for k in range(rows)],  # another value in each row: on rows that it was not learnt on it tells nothing
        }
    )


def audited(folder: Path, table: pd.DataFrame) -> Audit:
    return preview(DatasetSpec(name="g", source=given(folder / "s", table, told=TOLD), label={"kind": "given"})).audit  # type: ignore[arg-type]


def warned(audit: Audit) -> list[str]:
    return [finding.text.split(" (")[0] for finding in audit.findings if "the label (AUC" in finding.text]


def test_features_that_tell_the_label_are_named(tmp_path: Path) -> None:
    audit = audited(tmp_path, clicks())
    assert warned(audit) == [
        "outcome alone tells the label", "badges alone tells the label", "Whether conversion has a value tells the label",
    ]  # fmt: skip
    assert "AUC 1.00 on train" in " ".join(finding.text for finding in audit.findings)
    facts = {one.name: one for one in audit.features}
    assert facts["conversion"].auc is None, "only liked rows have a value"
    assert 0.5 <= (facts["code"].auc or 0) < 0.6
    train = clicks().sort_values("timestamp").head(480)
    assert facts["price"].auc == pytest.approx(roc_auc_score(train["rating"], train["price"]), abs=0.01)


def test_the_direction_does_not_matter(tmp_path: Path) -> None:
    table = clicks().assign(price=lambda rows: -rows["rating"] + 0.0)
    assert "price alone tells the label" in warned(audited(tmp_path, table))


def test_few_rows_or_few_of_a_label_say_nothing(tmp_path: Path) -> None:
    assert warned(audited(tmp_path / "few", clicks(200))) == [], "160 of train"
    rare = clicks().assign(rating=lambda rows: (rows["timestamp"] < 5).astype(float), price=lambda rows: rows["rating"])
    assert not any(one.auc for one in audited(tmp_path / "rare", rare).features)


def test_a_column_of_the_users_table_counts_by_its_rows() -> None:
    rows = clicks()[["user_id", "item_id", "timestamp"]].assign(label=lambda frame: (frame["user_id"] < "u3").astype(float))
    people = pd.DataFrame({"user_id": [f"u{k}" for k in range(50)]})
    people["churned"] = (people["user_id"] < "u3").map({True: "yes", False: "no"})
    feature = SourceFeature("churned", "user", "single")
    facts = [FeatureFacts(name="churned", side="user", kind="single", rows=50, missing=0)]
    told = with_label_auc(facts, train_rows(rows, [feature], {"user": people}))
    assert told[0].auc == 1
    turned = train_rows(rows.sample(frac=1, random_state=1), [feature], {"user": people})
    assert with_label_auc(facts, turned) == told, "in any order of the rows"

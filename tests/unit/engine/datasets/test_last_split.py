"""Leave-one-out: what it needs is said in a sentence, what it leaks is a finding."""

from pathlib import Path

import pytest

from engine.datasets import DatasetSpec
from engine.preview import preview
from tests import prepared

LAST = {"kind": "last"}


def test_rules_that_wait_for_train_are_refused_and_others_are_not() -> None:
    for label in ({"kind": "mean"}, {"kind": "user_mean"}, {"kind": "regression"}):
        with pytest.raises(ValueError, match=r"split\.kind is last, .* label\.kind"):
            DatasetSpec.model_validate({"source": {"kind": "sample"}, "split": LAST, "label": label})
    for label in ({"kind": "threshold"}, {"kind": "regression", "liked_from": 4}):
        assert DatasetSpec.model_validate({"source": {"kind": "sample"}, "split": LAST, "label": label}).split.kind == "last"


def test_the_audit_says_what_leave_one_out_leaks_and_every_test_user_has_one_like(tmp_path: Path) -> None:
    spec = prepared.films_spec(prepared.write_films(tmp_path))
    seen = preview(DatasetSpec.model_validate(spec.model_dump() | {"split": LAST}))
    assert seen.audit.splits["test"].positives == seen.audit.splits["valid"].positives == seen.audit.splits["test"].users
    assert "later than other users' test items" in " ".join(finding.text for finding in seen.audit.findings)
    assert "later than other users'" not in " ".join(finding.text for finding in preview(spec).audit.findings)

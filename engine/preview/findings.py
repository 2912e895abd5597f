"""Findings of an audit, in sentences: what blocks preparing, what to check, and how values were interpreted."""

import re
import time
from datetime import UTC, datetime

from engine.datasets import ActionsLabel, Audit, DatasetSpec, Finding, SplitFacts
from engine.preview.actions import strong_and_frequent, usual_likes
from workers.evaluation import ENOUGH_USERS, smallest_difference

DAY = 86_400
LEAK = 0.98  # AUC of one feature alone from which it is said to tell the label
COUNTS = 100  # times the median: weights beyond are rather counts
KNOWN = 0.5  # share of the users or items that a table of them knows, below which it is said
WHOLE = re.compile(r"-?\d+\.0+")  # a whole number as a data frame with gaps writes it
COLD = 0.3  # share of test users or items that train does not have, from which it is said
ADVICE = {"time": " Split per user, or give test a larger share.", "per_user": " Use more interactions.", "last": " Use more interactions."}


def list_findings(audit: Audit, spec: DatasetSpec, odd_ids: dict[str, int]) -> list[Finding]:
    """All findings, the most severe first.

    Args:
        odd_ids: kind of ids, in words -> number of distinct ids, or of rows.
    """
    findings = [*_nothing_to_learn(audit, spec), *_later_likes(spec), *_test(audit, spec), *_rows(audit, spec), *_times(audit)]
    findings += [*_actions(audit, spec), *_joins(audit), *_features(audit)]
    for what, n in odd_ids.items():
        level = "warn" if "missing" in what or "spaces" in what else "info"
        advice = " If it is one, name it among the missing values of the column." if "missing" in what else ""
        findings.append(Finding(level=level, text=f"{n:,} {what}: ids are kept as text.{advice}"))
    order = {"block": 0, "warn": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def _nothing_to_learn(audit: Audit, spec: DatasetSpec) -> list[Finding]:
    findings = []
    for name, facts in audit.splits.items():
        if not facts.rows:
            advice = "Change the shares of the split, choose another split, or use more interactions."
            findings.append(Finding(level="block", text=f"The {name} split is empty. {advice}"))
    train = audit.splits.get("train")
    if train and train.rows and spec.label.kind != "implicit" and train.positives in (0, train.rows):
        every = "Every" if train.positives else "No"
        at = "" if audit.threshold is None else f" at a threshold of {audit.threshold:g}"
        findings.append(
            Finding(level="block", text=f"{every} train row is liked{at}, so there is nothing to learn; change the label rule.")
        )
    return findings


def _later_likes(spec: DatasetSpec) -> list[Finding]:
    """What leave-one-out leaks."""
    if spec.split.kind != "last":
        return []
    text = (
        "Train contains likes that are later than other users' test items, so models know some of the future that they are tested on, and "
        "metrics come out better than in use. Split by time to measure what happens next month."
    )
    return [Finding(level="warn", text=text)]


def _test(audit: Audit, spec: DatasetSpec) -> list[Finding]:
    """Whether test has enough users to rank for, and users and items that train has."""
    findings, test = [], audit.splits.get("test")
    if test is None or not test.rows:
        return []
    if test.users_to_rank is not None and test.users_to_rank < ENOUGH_USERS:
        findings.append(Finding(level="warn", text=f"{few_users(test)}{ADVICE.get(spec.split.kind, '')}"))
    if test.users and (test.cold_users or 0) > COLD * test.users:
        share = f"{test.cold_users:,} of {test.users:,} test users ({test.cold_users / test.users:.0%})"  # type: ignore[operator]
        text = f"{share} are not in train: models know nothing of them, and ranking metrics leave them out."
        findings.append(Finding(level="warn", text=text))
    if test.items and (test.cold_items or 0) > COLD * test.items:
        share = f"{test.cold_items:,} of {test.items:,} test items ({test.cold_items / test.items:.0%})"  # type: ignore[operator]
        findings.append(Finding(level="warn", text=f"{share} are not in train: no model can recommend them."))
    return findings


def few_users(test: SplitFacts) -> str:
    """How few users of a test can be ranked for, and the smallest difference that they could show."""
    ranked, of = test.users_to_rank or 0, "" if test.users is None else f" of the {test.users:,}"
    if not ranked:
        return "No test user can be ranked for, so there are no ranking metrics: none both is in train and likes an item of train anew."
    seen = smallest_difference(ranked)
    return f"Only {ranked:,}{of} test users can be ranked for: two models must differ by about {seen:.2f} in NDCG@10 for it to be seen."


def _rows(audit: Audit, spec: DatasetSpec) -> list[Finding]:
    findings = []
    aside = audit.rows_read - audit.rows_used
    if aside > 0.2 * audit.rows_read:
        share = 100 * aside / audit.rows_read
        findings.append(Finding(level="warn", text=f"{share:.0f} % of the rows are set aside; check the reasons before you use the rest."))
    if audit.repeated_pairs:
        policy = {
            "keep": "every row stays", "exact": "only exact copies are set aside", "latest": "the latest row stays",
            "first": "the first row stays", "mean": "one row with their mean stays",
        }[spec.duplicates]  # fmt: skip
        conflict = f", {audit.conflicting_pairs:,} of them with different labels" if audit.conflicting_pairs else ""
        text = f"{audit.repeated_pairs:,} pairs of user and item occur more than once{conflict}; duplicates is {spec.duplicates}: {policy}."
        level = "warn" if audit.conflicting_pairs and spec.duplicates in ("keep", "exact") else "info"
        findings.append(Finding(level=level, text=text))
    if audit.weights and audit.weights.highest > COUNTS * audit.weights.median > 0:
        times, highest = audit.weights.highest / audit.weights.median, audit.weights.highest
        text = (
            f"The largest weight, {highest:,g}, is {times:,.0f} times the median: in training such rows outweigh all others. "
            "If it counts something, such as plays, map it as a label or leave it out."
        )
        findings.append(Finding(level="warn", text=text))
    if audit.items_without_title and audit.items:
        text = f"{audit.items_without_title:,} of {audit.items:,} items have no title; their id is shown."
        findings.append(Finding(level="info", text=text))
    if far := _far_outside(audit.ratings):
        text = f"{far:,} label{'s' * (far > 1)} far outside the range of all others may mean a missing value; set the label range."
        findings.append(Finding(level="warn", text=text))
    negative = sum(n for value, n in audit.ratings if value < 0)
    if negative and spec.label.kind not in ("given", "regression"):
        findings.append(Finding(level="warn", text=f"{negative:,} labels are below 0; set a range for labels if they mean something else."))
    return findings


def _far_outside(ratings: list[tuple[float, int]]) -> int:
    """Labels further from the middle 98 % than three times its width."""
    total, seen, low, high = sum(n for _, n in ratings), 0, None, None
    for value, n in ratings:
        low = value if low is None and seen + n > 0.01 * total else low
        high = value if high is None and seen + n >= 0.99 * total else high
        seen += n
    if low is None or high is None or low == high:
        return 0
    return sum(n for value, n in ratings if value > high + 3 * (high - low) or value < low - 3 * (high - low))


def _actions(audit: Audit, spec: DatasetSpec) -> list[Finding]:
    """Whether what counts as liked was left to the names of actions, and the most frequent one is a strong one."""
    if not isinstance(spec.label, ActionsLabel) or spec.label.liked:
        return []
    frequent = strong_and_frequent([name for name, _ in sorted(audit.categories, key=lambda pair: -pair[1])])
    if frequent is None:
        return []
    liked = " and ".join(usual_likes(audit.classes)[:8])
    text = f"{frequent} is the most frequent action. By their names {liked} count as liked; choose others (label.liked) if you mean others."
    return [Finding(level="warn", text=text)]


def _joins(audit: Audit) -> list[Finding]:
    """Tables of users and items that know few of those in the interactions."""
    findings = []
    for join in audit.joins:
        if join.known < KNOWN * join.ids:
            written = f" ({join.unknown} against {join.known_as})" if join.unknown is not None and join.known_as is not None else ""
            text = f"{join.known:,} of {join.ids:,} {join.side}s of the interactions are in the {join.side}s table{written}: the others "
            text += "have none of its features. Write ids alike in both"
            whole = WHOLE.fullmatch(join.unknown or "") or WHOLE.fullmatch(join.known_as or "")
            text += ", or read 12346.0 as 12346 (whole_ids)." if whole else "."
            findings.append(Finding(level="warn", text=text))
    return findings


def _times(audit: Audit) -> list[Finding]:
    if audit.first is None or audit.last is None or audit.time == "order":
        return []
    findings = []
    if audit.first < DAY:
        findings.append(Finding(level="warn", text="Some timestamps fall on 1 January 1970 or before: they may mean a missing time."))
    if audit.last > time.time() + DAY:
        last = datetime.fromtimestamp(min(audit.last, 253_402_300_799), UTC)
        findings.append(Finding(level="warn", text=f"Some timestamps are in the future, up to {last:%Y-%m-%d}: check their unit."))
    if audit.first == audit.last:
        findings.append(Finding(level="warn", text="All rows have the same timestamp: no split by time is possible."))
    return findings


def _features(audit: Audit) -> list[Finding]:
    findings = _leaks(audit)
    if empty := [f.name for f in audit.features if f.missing == 1]:
        findings.append(Finding(level="warn", text=f"{_names(empty)} never have a value; leave them out of the mapping."))
    if gaps := [f.name for f in audit.features if 0.5 < f.missing < 1]:
        findings.append(Finding(level="info", text=f"{_names(gaps)} are missing in more than half of their rows."))
    if strange := [f.name for f in audit.features if f.unknown.get("test", 0) > 0.3]:
        text = f"More than 30 % of the test values of {_names(strange)} are not in train: models cannot use them."
        findings.append(Finding(level="warn", text=text))
    if crowded := [f.name for f in audit.features if (f.collisions or 0) > 0.2]:
        text = f"More than 20 % of the values of {_names(crowded)} share a row of the hashed table with another value; raise hash_rows."
        findings.append(Finding(level="warn", text=text))
    return findings


def _leaks(audit: Audit) -> list[Finding]:
    """Features that alone tell the label, by their value or by whether they have one."""
    told = [(f"{f.name} alone tells", f.auc) for f in audit.features] + [
        (f"Whether {f.name} has a value tells", f.presence_auc) for f in audit.features
    ]
    advice = "If that is known only after the label, it is a leak: leave it out of the mapping."
    return [
        Finding(level="warn", text=f"{what} the label (AUC {area:.2f} on train). {advice}")
        for what, area in told
        if area is not None and area >= LEAK
    ]


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more

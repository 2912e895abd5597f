"""Comparisons that were made up, with names that try to be more than text; and a page as a browser reads it."""

from html.parser import HTMLParser
from typing import Any

import pandas as pd

from engine.compare import Answer, Comparison, Contender, PairVerdict, Reason, judge
from tests.records import DATASET, HOSTILE

NO = float("nan")
NASTY = [
    HOSTILE,
    "=HYPERLINK(\"http://e.vil\",\"x\")",
    "+1+cmd|' /C calc'!A0",
    "a | b \\| c\n| d | e |\n\n# heading",
    "\\input{/etc/passwd} \\\\[9cm] & % $x$ # _ {} ~ ^ ^^5c",
    "[1cm] * --- \"quoted\" `code` ``",
    "</td></tr></table><script>alert(1)</script><svg onload=alert(1)>&lt;",
    "<!-- --> ]]> javascript:alert(1) www.e.vil a@b.example",
    "line\r\nbreak\x00\x07\x1b[31m\u2028para\u2029graph\x85next",
    "1. - + > list",
    "映画 🎬 \u202eright to left",
    "'; rm -rf / #",
]  # fmt: skip


def made(names: list[str], **changes: Any) -> Comparison:
    """A comparison of runs called so: each has a metric with an interval, a cost, a setting and a curve."""
    letters = [chr(65 + at) for at in range(len(names))]
    contenders = [
        Contender(letter=letter, run_id=letter.lower() * 32, name=name, model="dlrm", color_index=at, run_ids=(letter.lower() * 32,))
        for at, (letter, name) in enumerate(zip(letters, names, strict=True))
    ] + [Contender(letter="pop", run_id=None, name="Popularity", model="popularity", color_index=len(names))]
    ends = [(0.4, 0.65) if letter == "A" else (0.05, 0.3) for letter in letters]  # A is ahead of all
    rows = [
        ("ndcg_at_10", letter, 0.5 if letter == "A" else 0.1 + at / 100, low, high, NO, 0.01)
        for at, (letter, (low, high)) in enumerate(zip(letters, ends, strict=True))
    ]
    rows += [("auc", letter, 0.7, NO, NO, NO, NO) for letter in letters] + [("ndcg_at_10", "pop", 0.05, NO, NO, NO, NO)]
    columns = ["metric", "contender", "value", "low", "high", "std", "delta"]
    settings = pd.DataFrame([{"setting": "model.kind"} | dict(zip(letters, names, strict=True)), {"setting": "model.l2", "A": "-1"}])
    values: dict[str, Any] = {
        "contenders": contenders,
        "dataset": DATASET,
        "apart": [],
        "table": pd.DataFrame(rows, columns=columns),
        "curves": pd.DataFrame({"contender": "A", "metric": "valid_ndcg_at_10", "epoch": [1, 2], "step": [5, 10], "value": [0.1, 0.2]}),
        "settings": settings,
        "differences": settings,
        "costs": pd.DataFrame([{"fact": "Training time", "unit": "s"} | {one: 1.0 + at for at, one in enumerate(letters)}]),
        "users": 1234,
    }
    comparison = Comparison(**(values | changes))
    tests = {key: [pair(key, "A", other) for other in letters[1:]] for key in ("ndcg_at_10", "auc")} if "table" not in changes else {}
    return comparison.model_copy(update={"verdict": judge(comparison, tests | others(tests)), "tests": tests})


def pair(key: str, a: str, b: str) -> PairVerdict:
    """A is sure to be ahead by NDCG@10, and may be by AUC."""
    ahead = key == "ndcg_at_10"
    numbers = {"difference": 0.391, "low": 0.31, "high": 0.472, "p": 0.0001, "p_holm": 0.0002} if ahead else {
        "difference": 0.0, "low": -0.02, "high": 0.02, "p": 0.9, "p_holm": 1.0, "needed": 41_234, "smallest": 0.031
    }  # fmt: skip
    answer = Answer.A_BETTER if ahead else Answer.UNKNOWN
    reason = None if ahead else Reason.CHANCE
    return PairVerdict(a=a, b=b, metric=key, lead=0.39, n=1234, unit="users", answer=answer, reason=reason, **numbers)


def others(tests: dict[str, list[PairVerdict]]) -> dict[str, list[PairVerdict]]:
    """With a pair against popularity, so that the first one wins."""
    return {"ndcg_at_10": [*tests["ndcg_at_10"], pair("ndcg_at_10", "A", "pop")]} if tests else {}


class Seen(HTMLParser):
    """Tags, attributes and text of a page; and the text of each cell of its tables, without its mark and the line below."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said: list[str] = []
        self.cells: list[str] = []
        self.in_cell = False
        self.aside = 0  # how deep in what a cell says beside its text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag in ("td", "th"):
            self.cells.append("")
            self.in_cell = True
        if self.aside or tag == "small" or ("class", "mark") in attrs:
            self.aside += 1

    def handle_endtag(self, tag: str) -> None:
        self.aside = max(0, self.aside - 1)
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.said.append(data)
        if self.in_cell and not self.aside:
            self.cells[-1] += data


def seen_in(page: str) -> Seen:
    """A page as a browser reads it."""
    seen = Seen()
    seen.feed(page)
    return seen

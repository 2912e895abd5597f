"""An engine of remembered records: pages are tested without Spark, MLflow or PyTorch. Specs and registries are the real ones."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

import engine
from engine.compare import Comparison, Contender
from engine.compare.comparison import _groups
from engine.datasets.audit_record import Audit
from engine.datasets.read import Dataset
from engine.recommend.search import Filter
from engine.runs.annotations import TrashRefusal
from engine.runs.read import Run, RunState
from tests.records import ASIDE, DATASET, NOW, run

LETTERS = {"popularity": "pop", "random": "rnd", "user_mean": "mean", "oracle": "best"}
ALL = Filter()


class FakeEngine:
    """Every public method replaces the name of the same engine function."""

    def __init__(self) -> None:
        self.datasets: list[Dataset] = []
        self.runs: list[Run] = []
        self.submitted: list[tuple[Any, str | None]] = []
        self.cancelled: list[str] = []
        self.tours = 0
        self.exported: list[tuple[Any, ...]] = []
        self.exports: list[Any] = []
        self.overlapping = False
        self.title = "Alien (1979)"
        self.refuses: Exception | None = None
        self.opened: list[str] = []
        self.newcomers: list[list[str]] = []
        self.filtered: list[tuple[bool, Filter]] = []
        self.browsed: list[tuple[tuple[str, ...], str, int]] = []
        self.aside = ASIDE
        self.baselines = {"popularity": {"ndcg_at_10": 0.197, "auc": 0.665}, "random": {"ndcg_at_10": 0.01, "auc": 0.5}}
        self.audits: dict[str, Audit] = {}
        self.foretold: dict[str, Any] = {}
        self.shown = pd.DataFrame()
        self.signs: dict[str, list[str]] = {}
        self.std = 0.004
        self.guided: dict[str, Any] = {"retrieval": None, "ranking": None}
        self.tested = pd.DataFrame(columns=["a", "b", "verdict"])
        self.slices: dict[str, pd.DataFrame] = {}

    def install(self, setattr_: Callable[[Any, str, Any], None]) -> None:
        """Put the fakes in place through something like monkeypatch.setattr."""
        for name in dir(type(self)):
            if name.startswith("_") or name == "install":
                continue
            for room in (engine.compare, engine.datasets, engine.preview, engine.recommend, engine.report, engine.runs, engine.tables):
                if name in room.__all__:
                    setattr_(room, name, getattr(self, name))

    def list_datasets(self) -> list[Dataset]:
        return self.datasets

    def get_dataset(self, id: str) -> Dataset:
        return self._one(self.datasets, "id", id)

    def list_runs(self, kind: str | None = None, dataset: str | None = None, limit: int = 500, trashed: bool = False) -> list[Run]:
        kept = [r for r in self.runs if (r.trashed_at is not None) == trashed]
        return [r for r in kept if (kind is None or r.kind == kind) and (dataset is None or r.dataset == dataset)][:limit]

    def list_trash(self) -> list[Run]:
        return self.list_runs(trashed=True)

    def _change(self, run_id: str, **changes: Any) -> None:
        if self.refuses:
            raise self.refuses
        at = self.runs.index(self.get_run(run_id))
        self.runs[at] = self.runs[at].model_copy(update=changes)

    def rename(self, run_id: str, name: str) -> None:
        self._change(run_id, title=name)

    def annotate(self, run_id: str, note: str) -> None:
        self._change(run_id, note=note or None)

    def tag(self, run_id: str, tags: Any) -> None:
        self._change(run_id, tags=tuple(tags))

    def pin(self, run_id: str) -> None:
        self._change(run_id, pinned=True)

    def unpin(self, run_id: str) -> None:
        self._change(run_id, pinned=False)

    def trash(self, run_ids: Any) -> list[TrashRefusal]:
        found = {run_id: engine.runs.why_kept(self.get_run(run_id)) for run_id in run_ids}
        for run_id in [run_id for run_id, why in found.items() if not why]:
            self._change(run_id, trashed_at=NOW)
        return [TrashRefusal(run_id, self.get_run(run_id).title, why) for run_id, why in found.items() if why]

    def restore(self, run_ids: Any) -> None:
        for run_id in run_ids:
            self._change(run_id, trashed_at=None)

    def pinned(self, dataset: str) -> Run | None:
        return next((r for r in self.list_runs("train", dataset) if r.pinned), None)

    def get_run(self, run_id: str) -> Run:
        return self._one(self.runs, "run_id", run_id)

    @staticmethod
    def _one(records: list[Any], field: str, value: str) -> Any:
        for record in records:
            if getattr(record, field) == value:
                return record
        raise LookupError(f"There is no {value!r}.")

    def submit(self, spec: Any, key: str | None = None) -> str:
        if self.refuses:
            raise self.refuses
        for run_id, (_, known) in enumerate(self.submitted):
            if key is not None and known == key:
                return f"new{run_id}"
        self.submitted.append((spec, key))
        run_id = f"new{len(self.submitted) - 1}"
        changes = {"kind": "download", "spec": spec.model_dump(mode="json")} if isinstance(spec, engine.datasets.DownloadSpec) else {}
        kind = getattr(getattr(spec, "model", None), "kind", None)
        queued = run(run_id, "dlrm" if kind == "funnel" else kind, RunState.QUEUED, **changes)
        if kind == "funnel":
            queued = queued.model_copy(update={"model": kind, "title": spec.title, "settings": spec.model_dump(mode="json")})
        self.runs.insert(0, queued)
        return run_id

    def export_lists(
        self, run_id: str, k: int = 10, users: Any = "all", to: Any = None, exclude_seen: Any = None, key: str | None = None
    ) -> str:
        if self.refuses:
            raise self.refuses
        self.exported.append((run_id, k, users, exclude_seen))
        new = run(f"x{len(self.exported)}", None, RunState.RUNNING, kind="export", title=f"Top {k} of it", dataset=DATASET)
        self.runs.insert(0, new)
        self.exports.insert(0, engine.runs.ListExport(new, run_id, "it", Path("/nowhere"), {}, ()))
        return new.run_id

    def list_exports(self, run_ids: Any, limit: int = 200) -> list[Any]:
        return [one for one in self.exports if one.source in set(run_ids)]

    def get_list_export(self, run: Run) -> Any:
        return next(one for one in self.exports if one.run.run_id == run.run_id)

    def submit_tour(self) -> list[str]:
        self.tours += 1
        self.runs += [
            run("p", None, RunState.PREPARING),
            run("t", "two_tower", RunState.QUEUED),
            run("d", "dlrm", RunState.QUEUED),
        ]
        return ["p", "t", "d"]

    def cancel_request(self, run_id: str) -> None:
        self.cancelled.append(run_id)

    def history(self, run_id: str) -> pd.DataFrame:
        self.get_run(run_id)
        steps = np.arange(1, 201)
        at = {"step": steps, "epoch": steps // 20, "rows": steps * 1024, "time_s": steps * 0.05}
        loss = pd.DataFrame(at | {"metric": "train_loss", "value": 5 / np.sqrt(steps)})
        epochs = loss[loss["step"] % 20 == 0]
        valid = [epochs.assign(metric=f"valid_{key}", value=0.2 - 0.1 / epochs["epoch"]) for key in ("ndcg_at_10", "auc")]
        return pd.concat([loss, *valid], ignore_index=True)

    def log_tail(self, run_id: str, lines: int = 200) -> str:
        return "12:00:01 planner: 2 tables\n12:00:02 epoch 1 of 10\n"

    def outputs(self, run_id: str) -> dict[str, Any]:
        self.get_run(run_id)
        return self.foretold

    def sample_predictions(self, run_id: str) -> pd.DataFrame:
        self.get_run(run_id)
        return self.shown

    def continued(self, run_id: str, epochs: int) -> Any:
        if self.refuses:
            raise self.refuses
        spec = self.get_run(run_id).settings
        more = {"continues": run_id.rjust(32, "0"), "train": spec["train"] | {"epochs": epochs}, "name": "It · continued"}
        return engine.specs.RunSpec.model_validate(spec | more)

    def baseline_results(self, id: str) -> dict[str, dict[str, float]]:
        self.get_dataset(id)
        return self.baselines

    def audit(self, id: str) -> Audit | None:
        self.get_dataset(id)
        return self.audits.get(id)

    def set_aside(self, id: str, limit: int = 200_000) -> pd.DataFrame:
        self.get_dataset(id)
        return self.aside.head(limit)

    def verify(self, id: str) -> None:
        if self.refuses:
            raise self.refuses

    def alarms(self, run_id: str) -> list[str]:
        self.get_run(run_id)
        return self.signs.get(run_id, [])

    def guide(self, comparison: Comparison) -> dict[str, Any]:
        return self.guided

    def protocol_of(self, run: Run) -> Any:
        return run.training.protocol

    def testable(self, comparison: Comparison) -> list[str]:
        return [f"ndcg_at_{comparison.k}", "auc"] if len(self.tested) else []

    def pairs(self, comparison: Comparison, metric: str) -> pd.DataFrame:
        return self.tested

    def slice_choices(self, comparison: Comparison) -> dict[str, str]:
        return {by: by.capitalize() for by in self.slices}

    def slice_metrics(self, comparison: Comparison, by: str) -> list[str]:
        return ["ndcg_at_10"]

    def sliced(self, comparison: Comparison, by: str, metric: str) -> pd.DataFrame:
        return self.slices[by]

    def seed_groups(self, run_ids: Any, seeds: bool = True) -> list[list[str]]:
        runs = [self.get_run(run_id) for run_id in run_ids]
        return [[r.run_id for r in group] for group in _groups([r for r in runs if r.dataset == runs[0].dataset], seeds)]

    def compare(self, run_ids: Any, baseline: str = "popularity", seeds: bool = True, k: int = 10) -> Comparison:
        runs = [self.get_run(run_id) for run_id in run_ids]
        groups = [[self.get_run(run_id) for run_id in group] for group in self.seed_groups(run_ids, seeds)]
        together, many = [group[0] for group in groups], [len(group) for group in groups]
        contenders = [
            Contender(
                letter=chr(65 + at),
                run_id=group[0].run_id,
                name=group[0].title + (f" · {len(group)} seeds" if len(group) > 1 else ""),
                model=group[0].model or "",
                color_index=at,
                run_ids=tuple(r.run_id for r in group),
            )
            for at, group in enumerate(groups)
        ]
        contenders += [
            Contender(letter=LETTERS[name], run_id=None, name=name.capitalize(), model=name, color_index=len(together) + at)
            for at, name in enumerate(self.baselines)
        ]
        against = next((c.letter for c in contenders if baseline in (c.run_id, None if c.run_id else c.model)), "pop")
        letters = [c.letter for c in contenders if c.run_id]
        return Comparison(
            contenders=contenders,
            dataset=together[0].dataset or "",
            apart=[(r.title, f"was trained on {r.dataset}") for r in runs if r.dataset != runs[0].dataset],
            table=self._table(contenders, together, against)
            .assign(
                metric=lambda frame: [name if k == 10 else re.sub(r"_at_\d+$", f"_at_{k}", name) for name in frame["metric"]],
                std=lambda frame: [self.std if dict(zip(letters, many, strict=True)).get(c, 1) > 1 else np.nan for c in frame["contender"]],
            )
            .drop_duplicates(["metric", "contender"]),
            settings=pd.DataFrame([{"setting": "model.kind"} | dict(zip(letters, (r.model for r in together), strict=True))]),
            curves=pd.concat([self.history(c.run_id).assign(contender=c.letter) for c in contenders if c.run_id]),
            differences=pd.DataFrame([{"setting": "model.kind"} | dict(zip(letters, (r.model for r in together), strict=True))]),
            costs=pd.DataFrame(
                [
                    {"fact": "Training time", "unit": "s"} | dict.fromkeys(letters, 12.5),
                    {"fact": "Peak memory", "unit": "MB"} | dict.fromkeys(letters, np.nan),
                ]
            ),
            users=28,
            against=against,
            k=k,
        )

    def _table(self, contenders: list[Contender], runs: list[Run], against: str) -> pd.DataFrame:
        wide = 0.3 if self.overlapping else 0.01
        rows = []
        for metric in engine.specs.METRICS:
            values = [r.metrics.get(metric, np.nan) for r in runs]
            values += [known.get(metric, np.nan) for known in self.baselines.values()]
            base = next((value for one, value in zip(contenders, values, strict=True) if one.letter == against), np.nan)
            top = max if engine.specs.METRICS[metric].better == "higher" else min
            crown = top((v for c, v in zip(contenders, values, strict=True) if c.letter != "best" and not np.isnan(v)), default=np.nan)
            for one, value in zip(contenders, values, strict=True):
                known = not np.isnan(value)
                best = known and one.letter != "best" and value == crown
                low, high = (value - wide, value + wide) if metric == "ndcg_at_10" else (np.nan, np.nan)
                delta = value - base if one.letter != against else np.nan
                rows.append((metric, one.letter, value, low, high, delta, best))
        return pd.DataFrame(rows, columns=["metric", "contender", "value", "low", "high", "delta", "best"])

    def funnel(self, retriever: str, ranker: str, candidates: int = 200, index: str | None = None, share: float | None = None) -> Any:
        if self.refuses:
            raise self.refuses
        model = {"kind": "funnel", "retriever": "a" * 32, "ranker": "b" * 32, "candidates": candidates, "titles": (retriever, ranker)}
        model["retriever_share"] = share
        return engine.specs.RunSpec.model_validate({"dataset": DATASET, "model": model})

    def funnel_losses(self, run_id: str) -> dict[str, Any]:
        self.get_run(run_id)
        shares = {"found": 0.4, "lost_at_retrieval": 0.25, "lost_at_ranking": 0.35}
        reached = {"recall_ceiling": 0.75, "recall_at_10": 0.3, "ndcg_at_10": 0.25}
        times = {f"{part}_{p}_ms": 2.5 for part in ("latency", "encode", "retrieve", "rank") for p in ("p50", "p99")}
        curve = [{"candidates": n} | shares | reached | times for n in (10, 50, 200)]
        facts = {"factory": "HNSW32", "items": 1000, "recall_at_100": 0.987}
        tried = [{"share": 0.0, "ndcg": 0.2}, {"share": 0.3, "ndcg": 0.26}]
        order = {"share": 0.3, "weight": 1.5, "tuned": True, "users": 31, "tried": tried}
        return {"candidates": 200, "k": 10, "index": facts, "order": order, "curve": curve}

    def items(self, id: str) -> pd.DataFrame:
        rows = range(1, 31)
        return pd.DataFrame(
            {
                "item_id": [f"i{n}" for n in rows],
                "row": list(rows),
                "title": [self.title if n == 1 else f"Film {n}" for n in rows],
                "genres": ["Sci-Fi|Horror" if n % 2 else None for n in rows],
                "train_count": [100 - n for n in rows],
                "train_positives": [60 - n for n in rows],
            }
        )

    def browse(self, id: str, run_ids: Any, by: str, k: int = 10) -> pd.DataFrame:
        if self.refuses:
            raise self.refuses
        self.browsed.append((tuple(run_ids), by, k))
        found = self.search_users(id, "3")[::-1].reset_index(drop=True)
        return found.assign(rank_biased_overlap=0.25) if by == "disagree" else found.head(0 if by == "cold" else 50)

    def search_items(self, id: str, text: str = "", limit: int = 12, without: Any = (), only: Any = ALL) -> pd.DataFrame:
        found = self.items(id)[lambda items: only.keeps(items)]
        kept = found["title"].str.contains(text, case=False, regex=False) & ~found["item_id"].isin(list(without))
        return found[kept].head(limit).reset_index(drop=True)

    def genres(self, id: str) -> list[str]:
        return ["Horror", "Sci-Fi"]

    def known_items(self, id: str, item_ids: Any) -> pd.DataFrame:
        found = self.items(id).set_index("item_id", drop=False)
        return found.loc[[item for item in item_ids if item in found.index]].reset_index(drop=True)

    def search_users(self, id: str, text: str = "", limit: int = 50, held_out_only: bool = False) -> pd.DataFrame:
        found = [str(n) for n in range(1, 41) if text in str(n)]
        frame = pd.DataFrame({"user_id": found, "row": range(1, len(found) + 1), "interactions": 25, "train_positives": 12})
        return frame.assign(test_positives=2, occupation="writer").head(limit)

    def user_interactions(self, id: str, user_id: str) -> pd.DataFrame:
        if user_id not in {str(n) for n in range(1, 41)}:
            raise LookupError(f"There is no user {user_id!r}.")
        frame = self.items(id).head(6)[["item_id", "title", "genres"]]
        split = ["test", "test", "train", "train", "train", "train"]
        return frame.assign(rating=[5, 4, 5, 4, 2, 5], label=[1, 1, 1, 1, 0, 1], timestamp=1_600_000_000, split=split)

    def open_model(self, run_id: str) -> SimpleNamespace:
        self.opened.append(run_id)
        items = self.items(DATASET)
        ordered = items if run_id < "d" else items.iloc[::-1]

        def recommend(user_id: str, k: int = 10, exclude_seen: bool = True, only: Any = ALL) -> pd.DataFrame:
            self.filtered.append((exclude_seen, only))
            top = ordered[only.keeps(ordered)].head(k)
            places = np.arange(1, len(top) + 1)
            return top.assign(rank=places, score=3 - 0.1 * places, seen=top["item_id"] == "i3", liked=top["item_id"].isin(["i1", "i2"]))

        def recommend_new(liked: list[str], k: int = 10, only: Any = ALL) -> pd.DataFrame:
            self.newcomers.append(liked)
            return recommend("", k + len(liked), only=only)[lambda top: ~top["item_id"].isin(liked)].head(k).assign(liked=False)

        def why(whose: Any, item_ids: list[str]) -> SimpleNamespace:
            if run_id < "d":
                return SimpleNamespace(method="By cosine.", because=[[self.title, "Film 9"]] * len(item_ids), parts=[])
            return SimpleNamespace(method="By leaving out.", because=[], parts=[{"history": 0.25, "item": -0.125}] * len(item_ids))

        def similar(item_id: str, k: int = 10, only: Any = ALL) -> tuple[pd.DataFrame, str]:
            if run_id >= "d":
                raise ValueError("This model has neither vectors nor weights of items.")
            return recommend("", k + 1, only=only)[lambda top: top["item_id"] != item_id].head(k).assign(liked=False), "By cosine."

        return SimpleNamespace(
            similar=similar, recommend=recommend, recommend_new=recommend_new, tells_newcomers_apart=run_id < "d", why=why, why_new=why
        )

"""A run's settings trained again on newer data of the same source, and the older model measured over the newer test period.

Both rank for the same users with the same likes (see `engine.compare.backtest.staleness`): a user whom the older model does not know is a
new one to it, and an item that it does not know it cannot recommend, which is what a stale model costs.
"""

from engine import datasets, runs
from engine.compare.backtest.plan import settled
from engine.compare.backtest.staleness import ranked_on
from engine.compare.cells import protocol_of
from engine.compare.paired_tests import Measured
from engine.datasets import Dataset, DatasetSpec
from engine.runs import Run
from workers.artifacts import METRICS
from workers.run import RunSpec, settings_of
from workers.specs import FeatureSchema

MAY_DIFFER = ("name", "eval_users", "split.valid", "split.test", "split.until")
IN_TIME = ("time", "per_user", "last")  # splits whose later test rows an older state of the data has not trained on


def newer_dataset(run_id: str, path: str) -> DatasetSpec:
    """The settings of a run's dataset, to prepare a newer state of its source with.

    Raises:
        LookupError: no such run, or its dataset is gone. ValueError: the source is not read from a path, or cannot be read there.
    """
    spec = _spec_of(datasets.get_dataset(runs.get_run(run_id).dataset or ""))
    if "path" not in type(spec.source).model_fields:
        raise ValueError(f"{spec.source.label} is not read from a path; prepare the newer data, and give the id of that dataset.")
    return DatasetSpec.model_validate(spec.model_dump() | {"source": spec.source.model_dump() | {"path": path}})


def newer_run(run_id: str, dataset: str) -> RunSpec:
    """The training of a run, with the settings that its search chose and its seed, on a newer dataset.

    Raises:
        LookupError: no such run or dataset. ValueError: the dataset is no newer state of the run's, with what differs; or the run is no
            training of one model.
    """
    run = runs.get_run(run_id)
    spec = settled(run)
    _check(datasets.get_dataset(run.dataset or ""), datasets.get_dataset(dataset))
    return spec.model_copy(update={"dataset": dataset, "continues": None})


def trained_as(spec: RunSpec) -> Run | None:
    """The newest run of the same settings on the same dataset that has finished or is under way; None where there is none."""
    wanted = _unnamed(spec)
    able = [run for run in runs.list_runs("train", spec.dataset) if not run.unreadable]
    return next((run for run in able if (run.live or run.state == runs.RunState.FINISHED) and _unnamed(run.training) == wanted), None)


def _unnamed(spec: RunSpec) -> str:
    return spec.model_copy(update={"name": None}).model_dump_json()


def measured_over_time(newer: Run, older: Run, metric: str) -> Measured:
    """A metric of lists by both models over the users of the newer run's test; loads the older model into this process.

    Raises:
        LookupError: what is needed of a run or a dataset is gone. ValueError: the newer run is not of newer data of the same source under
            the same protocol, or such a metric cannot be measured for the older model.
    """
    _check(*(datasets.get_dataset(run.dataset or "") for run in (older, newer)))
    if not protocol_of(newer).measures_like(protocol_of(older)):
        raise ValueError(f"{newer.title} was measured {protocol_of(newer).in_words}, {older.title} {protocol_of(older).in_words}.")
    settled(older)  # a funnel is said to be one before anything is loaded
    ours, theirs = runs.per_user(newer.run_id), ranked_on(older.run_id, newer.dataset or "")
    known = [name for name in METRICS if name in ours and name in theirs]
    if metric not in known:
        raise ValueError(f"{metric[:80]} of an older model cannot be measured on newer data; choose one of {', '.join(known)}.")
    first, second = (frame.set_index("user_id")[metric] for frame in (ours, theirs))
    values = first.to_frame("A").join(second.rename("B"), how="inner").to_numpy(float)
    return Measured("AB", values.mean(axis=0), (values - values.mean(axis=0)) / max(1, len(values)))


def _check(older: Dataset, newer: Dataset) -> None:
    """Raise ValueError where one dataset is no newer state of another, or the older one has trained on its test."""
    before, after = _spec_of(older), _spec_of(newer)
    different = _differences(before, after) or _features(older.schema, newer.schema)
    if different:
        raise ValueError(
            f"{newer.id} is no newer state of {older.id}: {different}. Prepare the newer data with the settings of {older.id}."
        )
    if before.split.kind not in IN_TIME:
        raise ValueError(
            f"{older.id} is split {before.split.kind}, so that an older model may have trained on rows of a newer test; prepare both by "
            "time, per user or leave-one-out."
        )
    ends, begins = older.manifest["split"].get("valid_from"), newer.manifest["split"].get("test_from")
    if ends is not None and begins is not None and begins < ends:
        raise ValueError(
            f"The test period of {newer.id} begins before the train rows of {older.id} end; prepare data that go on for longer."
        )


def _spec_of(dataset: Dataset) -> DatasetSpec:
    try:
        return DatasetSpec.model_validate(dataset.manifest["spec"])
    except (ValueError, KeyError) as error:
        raise ValueError(f"How {dataset.id} was prepared is not known any more: {error}") from error


def _differences(before: DatasetSpec, after: DatasetSpec) -> str:
    """The settings that differ, but those of where the data lie and of how much is held out; empty where none does."""
    if before.source.kind != after.source.kind or before.source.reading() != after.source.reading():
        return "it is of another source, or reads it in another way"
    one, other = ({name: value for name, value in settings_of(spec).items() if _counts(name)} for spec in (before, after))
    names = [name for name in one | other if one.get(name) != other.get(name)]
    return ", ".join(f"{name} was {one.get(name)} and is {other.get(name)}" for name in names)


def _counts(name: str) -> bool:
    return name not in MAY_DIFFER and not name.startswith("source.")


def _features(before: FeatureSchema, after: FeatureSchema) -> str:
    """The features that one of two schemas lacks; flags of missing numbers come and go with the data."""
    one, other = (_names(schema) for schema in (before, after))
    gone, new = sorted(one - other), sorted(other - one)
    return "; ".join(f"{words} {', '.join(names)}" for words, names in (("it lacks", gone), ("it adds", new)) if names)


def _names(schema: FeatureSchema) -> set[str]:
    names = [feature.name for feature in schema.categorical] + [feature.name for feature in schema.dense]
    return {name for name in names if not name.endswith("_missing")}

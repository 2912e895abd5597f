"""python -m workers.importance.measure RUN_DIR DATASET_DIR ATTEMPT: tests the features of a finished network, in one process.

Permutation importance: Breiman, "Random forests", Machine Learning 45, 2001, section 10; Fisher, Rudin and Dominici, "All models are wrong,
but many are useful", JMLR 20, 2019. The values of a feature are exchanged among rows that are read together, so that it keeps its
distribution and loses its relation to the label. What is measured is what this model reads, not what another one would learn without it.

Rows are read twice: once for each feature alone, once for the features that cost least together. Letters: B rows, F features, O outputs.
"""

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from workers.artifacts import TEST, PreparedDataset, write_json
from workers.batches import Columns, blocks_of, join, known_to_train, num_rows, take, to_batch
from workers.evaluation import Estimate, Rows, estimates, owners, standard_error
from workers.importance.spec import FEATURES, MEASURED, FeatureLoss, FeatureTest, FeatureTestSpec
from workers.run import RunContext, peak_memory, run_context
from workers.serving import OpenedNetwork, open_run
from workers.specs import BINARY, ITEM_ID, USER_ID, FeatureSchema

log = logging.getLogger("workers.importance.measure")
ROWS = 8192  # permuted and scored at a time
ENOUGH, MOST_DRAWS = 50_000, 5  # rows below which permutations are drawn again and averaged; how often at most
WIDE = 1.96  # standard errors of an interval of 95 %
FLAG = "_missing"  # suffix of the number that flags where another is missing: both are one feature
Group = tuple[str, ...]  # names of features that are permuted together


def main(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """Test features; writes FEATURES, and last of all done.json. Arguments and errors as in `run_context`."""
    with run_context(run_dir, dataset_dir, attempt, FeatureTestSpec, "features") as context:
        context.journal.progress("opening the model", 0, 1, force=True)
        opened = open_run(context.folder.parent / context.spec.features_of, context.dataset)
        if not isinstance(opened, OpenedNetwork) or opened.reads_order:
            raise ValueError(f"{context.spec.title or 'This model'} reads no features of rows; test those of a network that does.")
        started = time.monotonic()
        result = measure(context, opened)
        write_json(context.folder / FEATURES, result.model_dump(mode="json"))
        cost = {"seconds": time.monotonic() - started, "peak_memory_bytes": peak_memory()}
        context.finish({"features": len(result.each), "rows": result.rows, **cost})


def measure(context: RunContext[FeatureTestSpec], opened: OpenedNetwork) -> FeatureTest:
    """The test of each feature that the network reads, and of those that cost least together."""
    spec, test = context.spec, _Test(context, opened)
    groups = features_of(context.dataset.schema)
    whole, alone = test.estimates(groups, "permuting each feature")
    each = [loss for group, one in zip(groups, alone, strict=True) if (loss := _loss(test.metric, group, whole, one))]
    each.sort(key=lambda one: one.loss if one.high is None else one.high)  # what surely costs little goes first
    tolerance = spec.tolerance if test.metric.endswith("auc") else spec.tolerance * abs(whole.value)
    spared = [
        one.features for one in each if (one.low is None or one.low <= tolerance) and ITEM_ID not in one.features
    ]  # an item's id names what is ranked
    nested = [tuple(name for group in spared[: count + 1] for name in group) for count in range(len(spared))]
    again, jointly = test.estimates(nested, "permuting several together") if nested else (whole, [])
    together = [loss for group, one in zip(nested, jointly, strict=True) if (loss := _loss(test.metric, group, again, one))]
    return FeatureTest(
        metric=test.metric,
        value=whole.value,
        rows=test.rows,
        users=len(whole.users),
        each=tuple(sorted(each, key=lambda one: -one.loss)),
        together=tuple(together),
        tolerance=tolerance,
    )


def features_of(schema: FeatureSchema) -> list[Group]:
    """The features of a dataset, each with the flag of its missing values where it has one."""
    dense = [feature.name for feature in schema.dense]
    flags = {name for name in dense if name.endswith(FLAG) and name.removesuffix(FLAG) in dense}
    numbers = [(name, *([name + FLAG] if name + FLAG in flags else [])) for name in dense if name not in flags]
    return [*((feature.name,) for feature in schema.categorical), *numbers]


def permuted(columns: Columns, names: Group, schema: FeatureSchema, order: np.ndarray) -> Columns:
    """Block columns in which some features have the values of other rows. order: [B] where each row has them from."""
    own = {key: columns[key] for name in names for key in (name, f"{name}.values", f"{name}.lengths") if key in columns}
    moved = columns | take(own, order)
    places = [place for place, feature in enumerate(schema.dense) if feature.name in names]
    if places:
        moved["dense"] = columns["dense"].copy()
        moved["dense"][:, places] = columns["dense"][order][:, places]
    return moved


class _Scored(NamedTuple):
    """Some rows that train knows: logits of each permutation of each group, and of none."""

    whole: np.ndarray  # [B, O] float32
    groups: np.ndarray  # [F, D, B, O] float32, D draws
    labels: np.ndarray  # [B]
    targets: np.ndarray  # [B] or [B, A]
    users: np.ndarray  # [B]


class _Test:
    """One network on the first rows of the test split, which are in random order, as far as train has their users and items."""

    def __init__(self, context: RunContext[FeatureTestSpec], opened: OpenedNetwork) -> None:
        self.dataset: PreparedDataset = context.dataset
        self.model, self.task, self.spec = opened.model, context.dataset.task, context.spec
        self.metric = MEASURED[self.task.output]
        self.total = min(context.spec.rows, self.dataset.interactions[TEST])
        self.draws = max(1, min(MOST_DRAWS, ENOUGH // max(1, self.total)))
        self.rows, self.report = 0, context.journal.progress

    def estimates(self, groups: Sequence[Group], phase: str) -> tuple[Estimate, list[Estimate]]:
        """The metric as it is, and with each group permuted: the mean of several draws. One pass over the rows."""
        parts = list(self._scored(groups, phase))
        if not parts:
            raise ValueError("No test row has a user and an item that train knows, so no feature can be tested on them.")
        labels, targets, users = (np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "targets", "users"))
        own, self.rows = owners(users), len(labels)

        def estimate(logits: np.ndarray) -> Estimate:
            wide = logits.astype(np.float64)
            truth = labels if self.task.output == BINARY.output else targets
            measured = estimates(Rows(wide[:, 0], labels, own, wide, truth.astype(np.float64), self.task), [self.metric])
            if self.metric not in measured:
                raise ValueError("The test rows that train knows have one label alone, so that no feature can be tested on them.")
            return measured[self.metric]

        whole = estimate(np.concatenate([part.whole for part in parts]))
        every = []
        for place in range(len(groups)):
            if all((part.groups[place] == part.whole).all() for part in parts):  # the model does not read it
                every.append(whole)
                continue
            draws = [estimate(np.concatenate([part.groups[place, draw] for part in parts])) for draw in range(self.draws)]
            mean = float(np.mean([one.value for one in draws]))
            every.append(Estimate(mean, whole.users, np.mean([one.influence for one in draws], axis=0)))
        return whole, every

    @torch.no_grad()
    def _scored(self, groups: Sequence[Group], phase: str) -> Iterator[_Scored]:
        schema, rng = self.dataset.schema, np.random.default_rng(self.spec.seed)
        for columns in self._known_rows(phase):
            count = num_rows(columns)
            orders = [rng.permutation(count) for _ in range(self.draws)]
            moved = [[self._logits(permuted(columns, group, schema, order), count) for order in orders] for group in groups]
            batch, users = to_batch(columns, schema, count), columns.get(USER_ID, np.zeros(count, np.int32))
            whole = self._logits(columns, count)
            yield _Scored(whole, np.array(moved, np.float32), batch.label.numpy(), batch.target.numpy(), users)

    def _known_rows(self, phase: str) -> Iterator[Columns]:
        """The rows that train knows, some thousand together."""
        read, started, waiting = 0, time.monotonic(), list[Columns]()
        for block in blocks_of(self.dataset.folder, TEST):
            new = min(num_rows(block), self.total - read)
            known, read = np.flatnonzero(known_to_train(block, num_rows(block))[:new]), read + new
            waiting += [take(block, known)] if len(known) else []
            if waiting and (sum(map(num_rows, waiting)) >= ROWS or read >= self.total):
                yield join(waiting)
                waiting = []
                self.report(phase, read, self.total, eta_s=(self.total - read) * (time.monotonic() - started) / read)
            if read >= self.total:
                return

    def _logits(self, columns: Columns, rows: int) -> np.ndarray:
        return self.model(to_batch(columns, self.dataset.schema, rows)).numpy()


def _loss(metric: str, group: Group, whole: Estimate, one: Estimate) -> FeatureLoss | None:
    """What permuting a group costs; None where the model does not read it."""
    if one is whole:
        return None
    sign = 1 if metric.endswith("auc") else -1
    influence = sign * (whole.influence - one.influence)
    loss, error = sign * (whole.value - one.value), standard_error(influence)
    if not np.isfinite(error):
        return FeatureLoss(features=group, loss=loss, low=None, high=None)
    return FeatureLoss(features=group, loss=loss, low=loss - WIDE * error, high=loss + WIDE * error)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

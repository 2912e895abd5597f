"""Plan the tables of a network that is never made: on torch's `meta` device, for any number of ranks."""

from collections.abc import Mapping

import torch
from torchrec.distributed.planner.enumerators import EmbeddingEnumerator
from torchrec.distributed.planner.stats import NoopEmbeddingStats
from torchrec.distributed.planner.types import PlannerError, Shard, ShardingOption

from workers.models import FLOAT
from workers.run import RunSpec
from workers.specs import FeatureSchema, Task
from workers.training.planned import Layout, NoPlanError, PlannedPart, PlannedTable, TablePlan
from workers.training.planning import (
    COLUMN_WISE,
    DATA_PARALLEL,
    TABLE_WISE,
    Sharder,
    by_feature,
    configs,
    constraints,
    fuse_optimizer,
    memory_of,
    places_features,
    planner_of,
    reserved_bytes,
    topology_of,
)

STATES = {"rowwise_adagrad": 1, "adagrad": 1, "adam": 2, "sgd": 0}  # numbers that the optimizer of a table keeps for a weight, or for a row


class TablePlanner:
    """Plans the tables of one run on a dataset of a given shape."""

    def __init__(self, run: RunSpec, schema: FeatureSchema, task: Task, lengths: Mapping[str, float], kept_bytes: int = 0) -> None:
        """Build the network without weights.

        Args:
            run: of a model that ranks train, resolved.
            lengths: values of a feature in a row, on average, which make its lookups; 1 where a feature is not named. The planner itself
                takes every feature to have one, as it does when a training starts.
            kept_bytes: memory of a rank that is not for tables, beside that for other weights and a step.

        Raises:
            ValueError: the run names a sharding for a table that the network does not have.
        """
        self.model, self.spec, self.lengths = run.network, run.train, lengths
        self.kept_bytes = kept_bytes
        with torch.device("meta"):
            self.network = self.model.build(schema, task)
        fuse_optimizer(self.network, self.spec)
        self.sizes = {t.name: self._bytes(t.num_embeddings, t.embedding_dim) for t in configs(self.network)}

    def plan(self, layout: Layout) -> TablePlan:
        """Where the tables go.

        Raises:
            NoPlanError: they do not fit.
        """
        reserved, by_features = self._reserved(layout), places_features(self.network, self.spec, layout)
        left = memory_of(layout) - reserved
        if sum(self.sizes.values()) > left * layout.ranks or (by_features and max(self.sizes.values()) > left):
            raise self._no_plan(layout)  # at once: the planner would look for seconds, and find nothing
        options = self._placed(layout) if by_features else self._planned(layout)
        lengths = {t.name: [self.lengths.get(f, 1.0) for f in t.feature_names] for t in configs(self.network)}
        tables = tuple(self._table(option, layout, sum(lengths[option.name])) for option in options)
        held = [0] * layout.ranks
        for part in (part for table in tables for part in table.parts):
            held[part.rank] += max(part.estimate_bytes, part.table_bytes + part.state_bytes)
        if max(held) > left:
            raise self._no_plan(layout)
        return TablePlan(tables=tables, memory_bytes=memory_of(layout), reserved_bytes=reserved)

    def _step_bytes(self, layout: Layout) -> int:
        return FLOAT * self.model.pairs_of_step(self.spec.batch_size, layout.ranks)

    def _reserved(self, layout: Layout) -> int:
        return self.kept_bytes + reserved_bytes(self.network, self.spec, layout, self._step_bytes(layout))

    def _planned(self, layout: Layout) -> list[ShardingOption]:
        """As TorchRec's planner decides."""
        planner = planner_of(self.network, self.spec, layout, self.kept_bytes + self._step_bytes(layout), NoopEmbeddingStats())
        try:
            planner.plan(self.network, [Sharder()])
        except PlannerError as error:
            raise self._no_plan(layout) from error
        return planner.get_selected_options()

    def _placed(self, layout: Layout) -> list[ShardingOption]:
        """The tables of one feature together, with the planner's estimates."""
        ranks = by_feature(self.network, layout.ranks)
        wanted = constraints(self.network, self.spec, layout)
        topology = topology_of(layout, memory_of(layout) - self._reserved(layout))
        options = EmbeddingEnumerator(topology, self.spec.batch_size, wanted).enumerate(self.network, [Sharder()])
        for option in options:
            option.shards[0].rank = ranks[option.name]
        return options

    def _table(self, option: ShardingOption, layout: Layout, length: float) -> PlannedTable:
        rows, width = option.tensor.shape
        whole = len(option.shards) == 1 and option.sharding_type == COLUMN_WISE
        parts = tuple(self._part(option, shard, layout, length) for shard in option.shards if shard.size[0] and shard.size[1])
        kind = TABLE_WISE if whole else option.sharding_type
        return PlannedTable(name=option.name, rows=rows, width=width, sharding=kind, parts=parts)

    def _part(self, option: ShardingOption, shard: Shard, layout: Layout, length: float) -> PlannedPart:
        rows, columns = shard.size
        replicated = option.sharding_type == DATA_PARALLEL
        return PlannedPart(
            rank=shard.rank,
            rows=rows,
            columns=columns,
            table_bytes=FLOAT * rows * columns,
            state_bytes=self._state_bytes(rows, columns, replicated),
            estimate_bytes=int(shard.storage.hbm if layout.device == "cuda" else shard.storage.ddr),
            lookups=self.spec.batch_size * length * (1 if replicated else layout.ranks) * rows / option.tensor.shape[0],
        )

    def _state_bytes(self, rows: int, columns: int, replicated: bool = False) -> int:
        """Of the optimizer. Row-wise Adagrad keeps one number a row; plain Adagrad updates the tables that every rank holds whole."""
        by_row = self.spec.table_optimizer == "rowwise_adagrad" and not replicated
        return FLOAT * STATES[self.spec.table_optimizer] * rows * (1 if by_row else columns)

    def _no_plan(self, layout: Layout) -> NoPlanError:
        reserved = self._reserved(layout)
        largest = max(self.sizes.items(), key=lambda one: one[1])
        return NoPlanError(sum(self.sizes.values()), largest, max(0, memory_of(layout) - reserved), reserved)

    def _bytes(self, rows: int, width: int) -> int:
        return FLOAT * rows * width + self._state_bytes(rows, width)

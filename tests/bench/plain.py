"""The yardstick: the same networks as a bare PyTorch loop over tensors that are in memory already. No loader, no ranks, no journal.

There are several honest ways to write the tables; the bench takes whichever is fastest here.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.bench import rows, turns
from workers.networks.ranker import mlp
from workers.specs.schema import FeatureSchema

LR, ADAM_LR, EPS = 0.02, 0.001, 1e-8


class Bags(nn.Module):
    """A sparse nn.EmbeddingBag a feature."""

    def __init__(self, sizes: list[int], dim: int) -> None:
        super().__init__()
        self.bags = nn.ModuleList(nn.EmbeddingBag(size, dim, mode="sum", sparse=True) for size in sizes)

    def forward(self, ids: Tensor) -> Tensor:
        starts = torch.arange(len(ids))
        return torch.stack([bag(ids[:, k].contiguous(), starts) for k, bag in enumerate(self.bags)], 1)


class OneTable(nn.Module):
    """All tables under each other in one nn.Embedding: ids [B, F] to [B, F, D] by one lookup."""

    def __init__(self, sizes: list[int], dim: int, sparse: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), dim, sparse=sparse)
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0))

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids + self.first)


class RowWise(OneTable):
    """One table under row-wise Adagrad written by hand: one accumulator a row, the optimizer that our tables have."""

    def __init__(self, sizes: list[int], dim: int) -> None:
        super().__init__(sizes, dim, sparse=False)
        self.table.weight.requires_grad_(False)
        self.seen = torch.zeros(sum(sizes))

    def forward(self, ids: Tensor) -> Tensor:
        self.flat = (ids + self.first).view(-1)
        self.found = self.table.weight.index_select(0, self.flat).requires_grad_()
        return self.found.view(*ids.shape, -1)

    @torch.no_grad()
    def update(self) -> None:
        unique, place = self.flat.unique(return_inverse=True)
        gradient = torch.zeros(len(unique), self.found.shape[1]).index_add_(0, place, self.found.grad)
        self.seen.index_add_(0, unique, gradient.square().mean(1))
        step = -LR / (self.seen[unique].sqrt() + EPS)
        self.table.weight.index_add_(0, unique, gradient.mul_(step[:, None]))


class DLRM(nn.Module):
    def __init__(self, tables: nn.Module, dense: int, features: int, dim: int, bottom: list[int], over: list[int]) -> None:
        super().__init__()
        self.tables, self.bottom = tables, mlp([dense, *bottom, dim], last_linear=False)
        self.over = mlp([dim + (features + 1) * features // 2, *over, 1])
        self.upper = torch.triu_indices(features + 1, features + 1, 1)

    def forward(self, ids: Tensor, dense: Tensor) -> Tensor:
        deep = self.bottom(dense)
        all_ = torch.cat([deep[:, None], self.tables(ids)], 1)
        pairs = torch.bmm(all_, all_.transpose(1, 2))[:, self.upper[0], self.upper[1]]
        return self.over(torch.cat([deep, pairs], 1))[:, 0]


class TwoTower(nn.Module):
    """Biases of items are under Adam, which at this size is the cheapest way."""

    def __init__(self, tables: nn.Module, items: int) -> None:
        super().__init__()
        self.tables, self.bias = tables, nn.Embedding(items, 1)

    def forward(self, ids: Tensor, dense: Tensor) -> Tensor:
        states = self.tables(ids)
        return (states[:, 0] * states[:, 1]).sum(1) + self.bias(ids[:, 1])[:, 0]


Step = Callable[[Tensor, Tensor, Tensor], Tensor]


def ways(schema: FeatureSchema, model: dict) -> dict[str, Callable[[], Step]]:
    """By name: what makes one training step (ids, dense, labels) -> loss."""
    sizes, dim = [f.num_rows for f in schema.categorical], model["embedding_dim"]

    def network(tables: nn.Module) -> nn.Module:
        if model["kind"] == "two_tower":
            return TwoTower(tables, sizes[1])
        return DLRM(tables, len(schema.dense), len(sizes), dim, model["dense_layers"], model["over_layers"])

    def stock(tables: nn.Module) -> Step:
        net = network(tables)
        parts = list(tables.parameters())
        rest = [p for p in net.parameters() if all(p is not part for part in parts)]
        sparse = not (isinstance(tables, OneTable) and not tables.table.sparse)
        adagrad = torch.optim.Adagrad(parts, lr=LR, fused=not sparse)
        return _step(net, [adagrad.step], [adagrad, *_adam(rest)])

    def by_hand() -> Step:
        tables = RowWise(sizes, dim)
        net = network(tables)
        return _step(net, [tables.update], _adam([p for p in net.parameters() if p.requires_grad]))

    return {
        "EmbeddingBags, sparse Adagrad": lambda: stock(Bags(sizes, dim)),
        "one Embedding, sparse Adagrad": lambda: stock(OneTable(sizes, dim, sparse=True)),
        "one Embedding, dense fused Adagrad": lambda: stock(OneTable(sizes, dim, sparse=False)),
        "one table, row-wise Adagrad by hand": by_hand,
    }


def _adam(weights: list[nn.Parameter]) -> list[torch.optim.Optimizer]:
    return [torch.optim.Adam(weights, lr=ADAM_LR, fused=True)] if weights else []


def _step(net: nn.Module, updates: list[Callable[[], object]], optimizers: list[torch.optim.Optimizer]) -> Step:
    steps = [*updates[:1], *(o.step for o in optimizers if o.step not in updates)]

    def step(ids: Tensor, dense: Tensor, labels: Tensor) -> Tensor:
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.binary_cross_entropy_with_logits(net(ids, dense), labels)
        loss.backward()
        for update in steps:
            update()
        return loss

    return step


def main(folder: Path, dataset: Path, model: dict) -> None:
    """Answer turns: `what` is the name of a way."""
    torch.set_num_threads(1)
    schema = FeatureSchema.model_validate(json.loads((dataset / "manifest.json").read_text())["schema"])
    ids, dense, labels = map(torch.from_numpy, rows.read(dataset, schema))
    make, steps, at = ways(schema, model), {}, 0
    turns.announce(folder)
    while (told := turns.next_turn(folder)) != turns.END:
        if told["what"] not in steps:
            steps[told["what"]] = make[told["what"]]()
        step, size = steps[told["what"]], told["batch_size"]
        total, started, cpu = torch.zeros(()), time.perf_counter(), time.process_time()
        for _ in range(told["steps"]):
            at = 0 if at + size > len(labels) else at
            total += step(ids[at : at + size], dense[at : at + size], labels[at : at + size]).detach()
            at += size
        assert total.isfinite()
        turns.answer(folder, told["steps"] * size, time.perf_counter() - started, time.process_time() - cpu)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))

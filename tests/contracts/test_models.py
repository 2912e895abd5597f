"""Contract of every model: the known mistakes stay out. Ranges over the registry and names no member."""

import numpy as np
import pytest
import torch

from workers.batches.batches import to_batch
from workers.models import MODELS
from workers.models.base import NetworkSpec
from workers.networks.heads import Head
from workers.networks.ranker import Batch, drop_history
from workers.specs.schema import BINARY, Categorical, Dense, FeatureSchema, Task

torch.set_num_threads(1)  # on tensors this small, threads only wait for each other
SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="user_id", side="user", num_rows=6, vocabulary="user_id"),
        Categorical(name="job", side="user", num_rows=4, vocabulary="job"),
        Categorical(name="history", side="user", num_rows=8, multi_valued=True, vocabulary="item_id"),
        Categorical(name="item_id", side="item", num_rows=8, vocabulary="item_id"),
        Categorical(name="genres", side="item", num_rows=5, multi_valued=True, vocabulary="genres"),
    ),
    dense=(Dense(name="age", side="user", mean=0, std=1), Dense(name="year", side="item", mean=0, std=1)),
    sequence=10,
)
NETWORKS = [model for model in MODELS.values() if issubclass(model, NetworkSpec)]
every_model = pytest.mark.parametrize("model", NETWORKS, ids=lambda m: m.__name__)
BY_ROWS = [model for model in NETWORKS if not model.reads_order]  # each row of theirs has its own features
every_model_of_rows = pytest.mark.parametrize("model", BY_ROWS, ids=lambda m: m.__name__)
USERS = {
    "user_id": np.array([1, 2, 3]), "job": np.array([1, 0, 3]),
    "history.values": np.array([1, 2, 5]), "history.lengths": np.array([2, 0, 1]),
    "sequence.values": np.array([0, 1, 2, 0, 0, 5]), "sequence.lengths": np.array([3, 1, 2]),
}  # fmt: skip
ITEMS = {"item_id": np.array([4, 5, 6]), "genres.values": np.array([1, 2, 4, 4]), "genres.lengths": np.array([2, 1, 1])}
DENSE = np.array([[0.5, -1], [0, 2], [-1, 0.25]], np.float32)


def batch(columns: dict[str, np.ndarray], dense: np.ndarray = DENSE) -> Batch:
    return to_batch({**columns, "dense": dense, "label": np.array([1, 0, 1])}, SCHEMA, 3)


def network(model, task=BINARY, **settings):
    """A model that reads all it can."""
    torch.manual_seed(0)
    every = {name: True for name in ("user_id", "user_features") if name in model.model_fields}
    net = model(**every, **settings).build(SCHEMA, task)
    with torch.no_grad():  # wide weights, so that signs and orders are not those of a fresh model
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return net.eval()


@every_model
def test_logits_have_the_agreed_shape_and_some_are_negative(model):
    logits = network(model)(batch(USERS | ITEMS))
    assert logits.shape == (3, 1)
    many = torch.cat([network(model).score_grid(torch.randn(20, s.shape[1]), torch.randn(20, t.shape[1])) for s, t in [states(model)]])
    assert (many < 0).any()
    assert (many > 0).any()


def states(model, net=None):
    net = net or network(model)
    with torch.no_grad():
        only_user, only_item = DENSE * [1, 0], DENSE * [0, 1]
        return net.encode_users(batch(USERS, only_user)), net.encode_items(batch(ITEMS, only_item))


@every_model
def test_ranking_a_catalogue_gives_the_logits_that_training_sees(model):
    """Sides encoded apart, then every pair: the diagonal is the forward pass."""
    net = network(model)
    with torch.no_grad():
        grid = net.score_grid(*states(model))
        assert grid.shape == (3, 3)
        torch.testing.assert_close(grid.diagonal(), net(batch(USERS | ITEMS))[:, 0])


TASKS = {
    "binary": BINARY,
    "regression": Task(output="regression", mean=3.5),
    "multi_class": Task(output="multi_class", classes=("1", "2", "3"), liked=("2", "3")),
    "actions": Task(output="actions", classes=("view", "buy"), liked=("buy",)),
}
TARGETS = {
    "binary": torch.tensor([1.0, 0, 1]), "regression": torch.tensor([2.0, 5, 3]), "multi_class": torch.tensor([0.0, 2, 1]),
    "actions": torch.tensor([[1.0, 0], [1, 1], [0, 0]]),
}  # fmt: skip
every_output = pytest.mark.parametrize("output", TASKS)


def foretelling(model, task):
    """A model of an output, told to foretell what stands in the rows."""
    return network(model, task, **({"objective": "pointwise"} if "objective" in model.model_fields else {}))


@every_model_of_rows
@every_output
def test_every_output_has_its_logits_and_ranks_by_one_number_that_they_add_up_to(model, output):
    net = foretelling(model, TASKS[output])
    with torch.no_grad():
        logits, grid = net(batch(USERS | ITEMS)), net.score_grid(*states(model, net))
        assert logits.shape == (3, TASKS[output].outputs)
        torch.testing.assert_close(grid.diagonal(), net.head.score(logits), atol=1e-5, rtol=1e-5)
        if net.by_dot_product:  # an index that knows dot products alone gives the same order
            users, items = states(model, net)
            constant = grid - net.query(users) @ items.T
            torch.testing.assert_close(constant, constant[0, 0].expand(3, 3), atol=1e-5, rtol=1e-5)


@every_model_of_rows
@every_output
def test_every_output_can_be_learnt_to_the_last_row(model, output):
    torch.manual_seed(1)
    spec = model(**({"objective": "pointwise", "user_id": True} if "objective" in model.model_fields else {}))
    net = spec.build(SCHEMA, TASKS[output]).eval()
    rows = batch(USERS | ITEMS)._replace(target=TARGETS[output], label=TARGETS["binary"])
    adam = torch.optim.Adam(net.parameters(), lr=0.03)
    first = float(net.loss(rows)[0].detach())
    for _ in range(300):
        adam.zero_grad()
        net.loss(rows)[0].backward()
        adam.step()
    assert float(net.loss(rows)[0].detach()) < 0.05 < first


def test_a_regression_starts_at_the_mean_of_train():
    for model in BY_ROWS:
        spec = model(**({"objective": "pointwise"} if "objective" in model.model_fields else {}), init_std=1e-6)
        with torch.no_grad():
            assert spec.build(SCHEMA, TASKS["regression"]).eval()(batch(USERS | ITEMS)).numpy() == pytest.approx(3.5, abs=0.5)


def test_weights_of_actions_count_in_loss_and_rank():
    head = Head(TASKS["actions"], (1.0, 3.0))
    logits, target = torch.tensor([[0.5, -1.0]]), torch.tensor([[1.0, 0.0]])
    expected = (np.logaddexp(0, -0.5) + 3 * np.logaddexp(0, -1.0)) / 4
    assert float(head.losses(logits, torch.ones(1), target)) == pytest.approx(expected)
    assert float(head.score(logits)) == pytest.approx((0.5 - 3) / 4)
    assert "2 numbers" in MODELS["dlrm"](action_weights=(1, 3)).refusal(SCHEMA, GIVEN)


@every_model_of_rows
def test_every_feature_that_is_read_changes_the_logit(model):
    net = network(model)
    with torch.no_grad():
        before = net(batch(USERS | ITEMS))
        for name, other in {"item_id": [1, 2, 3], "genres.values": [3, 3, 1, 1], "history.values": [7, 7, 7], "job": [2, 2, 2]}.items():
            after = net(batch(USERS | ITEMS | {name: np.array(other)}))
            assert not torch.allclose(before, after), name
        assert not torch.allclose(before, net(batch(USERS | ITEMS, DENSE + 1)))


@every_model
def test_the_loss_is_a_mean_and_reaches_every_weight(model):
    net = network(model).train()
    loss, rows = net.loss(batch(USERS | ITEMS))
    assert loss.shape == ()
    assert rows > 0
    loss.backward()
    nothing_liked = batch(USERS | ITEMS)._replace(label=torch.zeros(3))
    assert torch.isfinite(net.loss(nothing_liked)[0])


@every_model_of_rows
def test_a_row_of_weight_two_counts_as_two_rows(model):
    """So it must do in the gradient too; one of weight 0 is as if it were not there."""
    columns = {**USERS, **ITEMS, "dense": DENSE, "label": np.ones(3)}
    twice = [0, 0, 1]
    doubled = {
        "user_id": USERS["user_id"][twice], "job": USERS["job"][twice], "item_id": ITEMS["item_id"][twice], "dense": DENSE[twice],
        "history.values": np.array([1, 2, 1, 2]), "history.lengths": np.array([2, 2, 0]),
        "genres.values": np.array([1, 2, 1, 2, 4]), "genres.lengths": np.array([2, 2, 1]), "label": np.ones(3),
    }  # fmt: skip
    pointwise = {"objective": "pointwise"} if "objective" in model.model_fields else {}
    net = model(**pointwise).build(SCHEMA).eval()
    weighted, total = net.loss(to_batch({**columns, "weight": np.array([2, 1, 0])}, SCHEMA, 3))
    gradient = torch.autograd.grad(weighted, list(net.parameters()), allow_unused=True)
    repeated, rows = net.loss(to_batch(doubled, SCHEMA, 3))
    assert total == rows == 3
    torch.testing.assert_close(weighted, repeated)
    for one, other in zip(gradient, torch.autograd.grad(repeated, list(net.parameters()), allow_unused=True), strict=True):
        torch.testing.assert_close(one, other)


@every_model
def test_nothing_of_weight_is_no_loss_and_no_weight_is_one(model):
    net = network(model)
    columns = {**USERS, **ITEMS, "dense": DENSE, "label": np.ones(3)}
    loss, total = net.loss(to_batch({**columns, "weight": np.zeros(3)}, SCHEMA, 3))
    assert (float(loss.detach()), float(total)) == (0, 0)
    one, other = net.loss(to_batch(columns, SCHEMA, 3)), net.loss(to_batch({**columns, "weight": np.ones(3)}, SCHEMA, 3))
    assert one == other
    assert one[1] == 3


CONTEXT = FeatureSchema(
    categorical=(
        Categorical(name="ad", side="context", num_rows=6, vocabulary="ad"),
        Categorical(name="tags", side="context", num_rows=5, multi_valued=True, vocabulary="tags"),
    ),
    dense=(Dense(name="hour", side="context", mean=0, std=1),),
)
GIVEN = {"kind": "given", "output": "binary"}


@every_model
def test_a_model_refuses_in_a_sentence_what_it_cannot_learn_from_and_learns_from_the_rest(model):
    """Neither user nor item, one of them alone, nothing but numbers: refused, or a network that reads every feature."""
    no_item = SCHEMA.model_copy(update={"categorical": tuple(f for f in SCHEMA.categorical if f.side == "user" and f.name != "history")})
    for schema in (CONTEXT, no_item, CONTEXT.model_copy(update={"categorical": ()}), SCHEMA):
        why = model().refusal(schema, GIVEN)
        if why:
            assert why.endswith(".")
            assert "choose" in why or "map" in why
        else:
            net = model().build(schema).eval()
            columns = {f.name: np.array([1, 2, 3]) for f in schema.categorical if not f.multi_valued}
            assert net(to_batch({**columns, "dense": np.eye(3, len(schema.dense))}, schema, 3)).shape == (3, 1)
    assert model().refusal(SCHEMA, GIVEN) is None
    assert model().refusal(CONTEXT.model_copy(update={"categorical": ()}), GIVEN)


@every_model_of_rows
def test_rows_that_are_all_liked_teach_only_what_people_choose(model):
    implicit = {"kind": "implicit", "output": "binary"}
    assert (model().refusal(SCHEMA, implicit) is None) == model().liked_only
    for objective in ("softmax", "pointwise") if "objective" in model.model_fields else ():
        spec = model(objective=objective)
        assert (spec.refusal(SCHEMA, implicit) is None) == (objective == "softmax")


def test_a_schema_knows_what_it_has():
    assert SCHEMA.has_users and SCHEMA.has_items and SCHEMA.can_rank and SCHEMA.has_history
    only_items = SCHEMA.model_copy(update={"categorical": SCHEMA.on("item")})
    assert (only_items.has_users, only_items.has_items, only_items.can_rank) == (False, True, False)
    assert not (CONTEXT.has_users or CONTEXT.has_items or CONTEXT.can_rank)


def test_forgetting_history_keeps_every_other_bag():
    torch.manual_seed(0)
    full = batch(USERS | ITEMS).sparse
    kept = drop_history(full, 0.5)
    for key in full.keys():  # noqa: SIM118 - a KeyedJaggedTensor is no dict
        if key != "history":
            assert torch.equal(full[key].values(), kept[key].values())
            assert torch.equal(full[key].lengths(), kept[key].lengths())
    assert len(drop_history(full, 0.0)["history"].values()) == 3
    share = np.mean([len(drop_history(full, 0.4)["history"].values()) / 3 for _ in range(500)])
    assert share == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(("sampled", "masked"), [(0, False), (0, True), (2, False), (2, True)])
def test_sampled_softmax_is_that_of_the_papers(sampled, masked):
    """Log of how often each candidate is met subtracted; copies of the target, and the user's history, are no negatives."""
    net = MODELS["two_tower"](embedding_dim=8, mask_history=masked).build(SCHEMA)
    counts = torch.tensor([0.0, 5, 1, 1, 8, 2, 0, 1])
    net.learn_frequencies(counts)
    torch.manual_seed(3)
    rows, bags = [4, 1, 4, 6, 2, 1][: 4 + sampled], [[1, 2], [], [6], [4]]
    users, items = torch.randn(4, 9, requires_grad=True), torch.randn(4 + sampled, 9, requires_grad=True)
    columns = {
        "item_id": np.array(rows),
        "history.values": np.array([item for bag in bags for item in bag]),
        "history.lengths": np.array([len(bag) for bag in bags] + [0] * sampled),
    }
    found = net._sampled_softmax(users, items, to_batch(columns, SCHEMA, len(rows)).sparse, sampled)
    frequency = torch.where(counts > 0, counts, 0.5) / counts.sum()
    expected = []
    for b in range(4):
        fair = [j for j in range(len(rows)) if j == b or (rows[j] != rows[b] and not (masked and rows[j] in bags[b]))]
        met = torch.stack([4 * frequency[rows[j]] + sampled / 7 for j in fair])
        logits = torch.stack([users[b] @ items[j] for j in fair]) - met.log()
        expected.append(-torch.log_softmax(logits, 0)[fair.index(b)])
    torch.testing.assert_close(found, torch.stack(expected))
    learnt, exact = (torch.autograd.grad(losses.square().sum(), (users, items)) for losses in (found, torch.stack(expected)))
    torch.testing.assert_close(learnt, exact)


@every_model_of_rows
def test_a_model_is_named_without_a_history_where_the_data_have_none(model):
    bare = FeatureSchema(categorical=tuple(f for f in SCHEMA.categorical if f.name != "history"), dense=SCHEMA.dense)
    assert "history" in model().fitted(SCHEMA).title
    assert "history" not in model().fitted(bare).title
    assert model().fitted(SCHEMA) == model()


@pytest.mark.parametrize("model", [model for model in NETWORKS if "without" in model.model_fields], ids=lambda m: m.__name__)
@pytest.mark.parametrize("without", [("job", "age", "history"), ("genres", "year", "user_id"), ("age", "year")])
def test_a_feature_that_is_left_out_changes_nothing(model, without):
    net, given = network(model, without=without), batch(USERS | ITEMS)
    logits = net(given)
    others = {"job": np.array([3, 2, 1]), "user_id": np.array([4, 5, 0]), "genres.values": np.array([3, 3, 2, 1])}
    others |= {"history.values": np.array([7, 6, 4])}
    moved = {name: column for name, column in others.items() if name.split(".")[0] in without}
    dense = DENSE.copy()
    for place, feature in enumerate(SCHEMA.dense):
        dense[:, place] += feature.name in without
    changed = batch(USERS | ITEMS | moved, dense)
    assert torch.equal(net(changed), logits)
    assert torch.allclose(net.score(net.encode_users(changed), net.encode_items(changed)), logits, atol=1e-5)
    assert not torch.equal(net(batch(USERS | ITEMS | {"item_id": np.array([1, 2, 3])})), logits)
    assert model(without=without).refusal(SCHEMA, {}) is None
    for wrong in ("item_id", "price"):
        assert f"without names {wrong}" in model(without=(wrong,)).refusal(SCHEMA, {})

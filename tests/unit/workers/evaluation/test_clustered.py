"""Metrics over rows and the influence of users on them: against scikit-learn, the bootstrap over users, and DeLong's formula."""

import numpy as np
import pytest
import sklearn.metrics as oracle
from scipy import stats
from scipy.special import expit, softmax

from workers.evaluation import clustered
from workers.evaluation.clustered import FEW, Rows, area, area_per_user, estimates, owners, rank_correlation, standard_error
from workers.specs import Task

CLASSES, ACTIONS = (
    Task(output="multi_class", classes=("a", "b", "c"), liked=("c",)),
    Task(output="actions", classes=("x", "y"), liked=("x",)),
)
VALUE = Task(output="regression")
RNG = np.random.default_rng(4)
USERS = np.repeat(np.arange(1, 121), RNG.integers(1, 40, 120))
TASTE = RNG.normal(0, 1.5, 121)[USERS]  # of a user: what makes the rows of one alike
LABELS = (RNG.random(len(USERS)) < expit(TASTE)).astype(float)
SCORES = 0.6 * LABELS + 0.7 * TASTE + RNG.normal(0, 1, len(USERS))


def binary(scores: np.ndarray = SCORES, users: np.ndarray = USERS, labels: np.ndarray = LABELS) -> Rows:
    return Rows(scores, labels, users)


def of_classes(seed: int = 1) -> Rows:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, len(USERS)).astype(float)
    logits = rng.normal(0, 1, (len(USERS), 3)) + TASTE[:, None] * [0.5, 0, -0.5] + np.eye(3)[targets.astype(int)]
    return Rows(logits[:, 2], (targets == 2).astype(float), USERS, logits, targets, CLASSES)


def of_actions() -> Rows:
    targets = np.column_stack([LABELS, RNG.random(len(USERS)) < 0.3]).astype(float)
    return Rows(SCORES, LABELS, USERS, np.column_stack([SCORES, RNG.normal(0, 1, len(USERS)) + targets[:, 1]]), targets, ACTIONS)


def of_values() -> Rows:
    targets = 3 + TASTE + RNG.normal(0, 1, len(USERS))
    return Rows(SCORES, LABELS, USERS, (3 + 0.5 * TASTE)[:, None], targets, VALUE)


def take(rows: Rows, drawn: np.ndarray) -> Rows:
    """The rows of users that were drawn with replacement, each draw a user of its own."""
    places = [np.flatnonzero(rows.users == user) for user in np.unique(rows.users)]
    where = np.concatenate([places[user] for user in drawn])
    users = np.repeat(np.arange(len(drawn)), [len(places[user]) for user in drawn])
    some = [None if part is None else part[where] for part in (rows.logits, rows.targets)]
    return Rows(rows.scores[where], rows.labels[where], users, *some, task=rows.task)


MADE = {"binary": binary(), "classes": of_classes(), "actions": of_actions(), "values": of_values()}
MEASURED = [(name, key) for name, rows in MADE.items() for key in clustered.MEASURED[rows.task.output]]


@pytest.mark.parametrize(("name", "key"), MEASURED)
def test_errors_are_those_of_a_bootstrap_over_users(name: str, key: str) -> None:
    rows, rng = MADE[name], np.random.default_rng(1)
    one = estimates(rows, (key,))[key]
    n = len(np.unique(rows.users))
    draws = [estimates(take(rows, rng.integers(0, n, n)), (key,))[key].value for _ in range(300)]
    assert one.influence.sum() == pytest.approx(0, abs=1e-9)
    # calibration errors are sums of absolute values, whose bootstrap is biased: its spread is compared more loosely
    assert standard_error(one.influence) == pytest.approx(np.std(draws), rel=0.3 if key == "ece" else 0.17)


def test_a_difference_has_the_error_of_a_bootstrap_over_users() -> None:
    other, rng = SCORES + np.random.default_rng(8).normal(0, 1, len(SCORES)), np.random.default_rng(1)
    apart = area(SCORES, LABELS, USERS).influence - area(other, LABELS, USERS).influence
    places, draws = [np.flatnonzero(user == USERS) for user in np.unique(USERS)], []
    for _ in range(300):
        rows = np.concatenate([places[user] for user in rng.integers(0, len(places), len(places))])
        draws.append(oracle.roc_auc_score(LABELS[rows], SCORES[rows]) - oracle.roc_auc_score(LABELS[rows], other[rows]))
    assert standard_error(apart) == pytest.approx(np.std(draws), rel=0.15)


def test_values_are_those_of_scikit_learn() -> None:
    found = {key: one.value for key, one in estimates(binary()).items()}
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(LABELS, SCORES))
    assert found["log_loss"] == pytest.approx(oracle.log_loss(LABELS, expit(SCORES)))
    classes = of_classes()
    assert classes.logits is not None and classes.targets is not None
    found = {key: one.value for key, one in estimates(classes).items()}
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(classes.targets, classes.logits.argmax(1)))
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(classes.targets, classes.logits.argmax(1), average="macro"))
    assert found["class_log_loss"] == pytest.approx(oracle.log_loss(classes.targets, softmax(classes.logits, axis=1)))


def test_with_a_row_a_user_an_area_has_delongs_error() -> None:
    liked = LABELS > 0.5
    above = [(SCORES[~liked] < score).mean() for score in SCORES[liked]]
    below = [(SCORES[liked] > score).mean() for score in SCORES[~liked]]
    delong = np.sqrt(np.var(above, ddof=1) / len(above) + np.var(below, ddof=1) / len(below))
    alone = standard_error(area(SCORES, LABELS, np.arange(len(LABELS))).influence)
    assert alone == pytest.approx(delong, rel=0.002)
    assert standard_error(area(SCORES, LABELS, USERS).influence) > 1.5 * alone  # rows of one user are alike here


def test_the_spread_of_many_draws_is_the_error_that_one_states() -> None:
    def drawn(rng: np.random.Generator) -> clustered.Estimate:
        users = np.repeat(np.arange(80), rng.integers(1, 20, 80))
        taste = rng.normal(0, 1, 80)[users]
        labels = (rng.random(len(users)) < expit(taste)).astype(float)
        return area(labels + taste + rng.normal(0, 1, len(users)), labels, users)

    rng = np.random.default_rng(2)
    every = [drawn(rng) for _ in range(300)]
    stated = np.mean([standard_error(one.influence) for one in every])
    assert stated == pytest.approx(np.std([one.value for one in every]), rel=0.12)


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_spearmans_with_the_error_of_a_bootstrap(ties: bool) -> None:
    rng = np.random.default_rng(3)
    ratings = TASTE + rng.normal(0, 1, len(USERS))
    ratings = np.round(ratings) if ties else ratings
    one = rank_correlation(SCORES, ratings, USERS)
    assert one.value == pytest.approx(stats.spearmanr(SCORES, ratings).statistic)
    places, draws = [np.flatnonzero(user == USERS) for user in np.unique(USERS)], []
    for _ in range(300):
        rows = np.concatenate([places[user] for user in rng.integers(0, len(places), len(places))])
        draws.append(stats.spearmanr(SCORES[rows], ratings[rows]).statistic)
    assert standard_error(one.influence) == pytest.approx(np.std(draws), rel=0.15)
    assert np.isnan(rank_correlation(SCORES, np.ones(len(USERS)), USERS).value)


def test_few_users_have_no_error_and_rows_without_users_stand_alone() -> None:
    assert np.isnan(standard_error(np.ones(FEW - 1) / FEW))
    assert standard_error(np.full(FEW, 0.1)) > 0
    assert owners(np.array([0, 0, 0])).tolist() == [0, 1, 2]
    assert owners(np.array([4, 4, 0])).tolist() == [4, 4, 0]
    assert len(owners(np.zeros(0, np.int64))) == 0


def test_what_is_undefined_is_absent() -> None:
    assert estimates(Rows(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))) == {}
    assert {"auc", "user_auc", "ne"}.isdisjoint(estimates(binary(labels=np.zeros(len(LABELS)))))
    lone = area_per_user(SCORES, LABELS, np.arange(len(LABELS)))
    assert np.isnan(lone.value) and len(lone.users) == 0

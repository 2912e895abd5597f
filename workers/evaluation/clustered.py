"""Metrics over rows, with the part that each user has in them: the rows of one person are not independent, so users are what is drawn.

To first order a metric of other users drawn from the same population is its value and the mean of their influences; the variance of the
metric is that of a sum of independent users (the infinitesimal jackknife: Efron, "The jackknife, the bootstrap and other resampling plans",
1982, chapter 6). For the area under the ROC curve this is Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics
53(2), 1997; with one row a user it is DeLong, DeLong and Clarke-Pearson, Biometrics 44(3), 1988. Letters: B rows, U users, O outputs.

Rows may lie on several ranks, each with all rows of its users: `over` then sums over ranks, and every call with it is collective.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_softmax

from workers.evaluation.metrics import Floats, Ints, log_losses, user_areas
from workers.evaluation.over import HERE, Over
from workers.specs import BINARY, Task

BINS = 15  # of the reliability curve, as in Guo et al. 2017
FEW = 10  # users below which their spread says too little of that of others


class Estimate(NamedTuple):
    """A metric and the influence of each user on it, which sum to 0; over ranks, of the users of this one."""

    value: float
    users: Ints  # [U] rising
    influence: Floats  # [U]


class Rows(NamedTuple):
    """Rows that a metric is measured over."""

    scores: Floats  # [B] what ranks
    labels: Floats  # [B] 0 or 1
    users: Ints  # [B]; see `owners`
    logits: Floats | None = None  # [B, O] of outputs that are not binary
    targets: Floats | None = None  # [B], or [B, A] of actions
    task: Task = BINARY
    over: Over = HERE


def owners(users: Ints, over: Over = HERE) -> Ints:
    """Who each row belongs to: its user, or itself where the data names no users, [B]."""
    return users if over.total((users > 0).sum()) else np.arange(len(users))


def standard_error(influence: Floats, over: Over = HERE) -> float:
    """Of a metric whose users have these influences [U]; nan below FEW users."""
    n, squares = over.total(len(influence)), over.total((influence**2).sum())
    return float(np.sqrt(n / (n - 1) * squares)) if n >= FEW else float("nan")


def estimates(rows: Rows, keys: Sequence[str] | None = None) -> dict[str, Estimate]:
    """Metric key -> its estimate, of all that can be measured over such rows; those that are undefined are absent."""
    wanted = [key for key in MEASURED[rows.task.output] if keys is None or key in keys]
    if not rows.over.total(len(rows.labels)):
        return {}
    made = {key: MEASURED[rows.task.output][key](rows) for key in wanted}
    broken = {key: rows.over.total((~np.isfinite(one.influence)).sum()) for key, one in made.items()}
    return {key: one for key, one in made.items() if np.isfinite(one.value) and not broken[key]}


def with_errors(measured: Mapping[str, Estimate], over: Over = HERE) -> dict[str, float]:
    """Metrics and, as `<key>_se`, their standard errors; what is not finite is absent."""
    values = {key: one.value for key, one in measured.items()}
    values |= {f"{key}_se": standard_error(one.influence, over) for key, one in measured.items()}
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}


def by_owner(value: float, users: Ints, influence: Floats) -> Estimate:
    """An estimate from influences of rows [B]."""
    who, own = np.unique(users, return_inverse=True)
    return Estimate(value, who, np.bincount(own, influence, len(who)).astype(np.float64))


def mean_of(values: Floats, users: Ints, over: Over = HERE) -> Estimate:
    """A mean over rows, [B]."""
    count = over.total(len(values))
    mean = float(over.total(values.sum()) / count)
    return by_owner(mean, users, (values - mean) / count)


def root_of(squares: Floats, users: Ints, over: Over = HERE) -> Estimate:
    """The root of a mean over rows, [B]; its influence is that of the mean over twice the root."""
    value, who, influence = mean_of(squares, users, over)
    root = float(np.sqrt(value))
    return Estimate(root, who, influence / (2 * root) if root > 0 else influence)


def area(scores: Floats, labels: Floats, users: Ints, over: Over = HERE) -> Estimate:
    """The area under the ROC curve; nan with one class only. Ties count half, through midranks (Sun and Xu 2014)."""
    liked = labels > 0.5
    m, n = int(over.total(liked.sum())), int(over.total((~liked).sum()))
    if m == 0 or n == 0:
        return by_owner(float("nan"), users, np.zeros(len(users)))
    ranks, placed = over.midranks(scores), np.zeros(len(scores))
    placed[liked] = (ranks[liked] - over.midranks(scores[liked])) / n  # share of disliked rows below each liked one: V10 of DeLong et al.
    placed[~liked] = 1 - (ranks[~liked] - over.midranks(scores[~liked])) / m  # V01
    value = float(over.total(placed[liked].sum()) / m)
    return by_owner(value, users, (placed - value) / np.where(liked, m, n))


def area_per_user(scores: Floats, labels: Floats, users: Ints, over: Over = HERE) -> Estimate:
    """The AUC of each user's own rows, averaged with their number as weight: a ratio of sums over users who have both labels."""
    who, areas, weights = user_areas(scores, labels, users)
    rows = over.total(weights.sum())
    if not rows:
        return Estimate(float("nan"), who, areas)
    value = float(over.total((areas * weights).sum()) / rows)
    return Estimate(value, who, weights * (areas - value) / rows)


def rank_correlation(a: Floats, b: Floats, users: Ints) -> Estimate:
    """Spearman's, with ties; nan where one of the two is constant.

    The influence on products of ranks is that of Croux and Dehon, "Influence functions of the Spearman and Kendall correlation measures",
    Statistical Methods and Applications 19(4), 2010, with midranks for ties.
    """
    f, g = ((HERE.midranks(one) - 0.5) / len(one) for one in (a, b))
    both, squares_f, squares_g = ((one * other).mean() - one.mean() * other.mean() for one, other in ((f, g), (f, f), (g, g)))
    if squares_f <= 0 or squares_g <= 0:
        return by_owner(float("nan"), users, np.zeros(len(users)))

    def influence(x: Floats, y: Floats) -> Floats:
        """On the mean of the product of two ranks, [B]; their means are always one half."""
        return x * y + _above(x, y) + _above(y, x) - 3 * (x * y).mean()

    value = float(both / np.sqrt(squares_f * squares_g))
    of_rows = influence(f, g) / np.sqrt(squares_f * squares_g) - value / 2 * (influence(f, f) / squares_f + influence(g, g) / squares_g)
    return by_owner(value, users, of_rows / len(a))


def _above(x: Floats, weights: Floats) -> Floats:
    """Of each x the mean over rows of their weight where they are greater, half of it where they are equal: [B]."""
    different, place = np.unique(x, return_inverse=True)
    sums = np.bincount(place, weights, len(different))
    return ((sums[::-1].cumsum()[::-1] - sums / 2) / len(x))[place]


def _auc(rows: Rows) -> Estimate:
    return area(rows.scores, rows.labels, rows.users, rows.over)


def _user_auc(rows: Rows) -> Estimate:
    named = rows.users > 0
    return area_per_user(rows.scores[named], rows.labels[named], rows.users[named], rows.over)


def _log_loss(rows: Rows) -> Estimate:
    return mean_of(log_losses(rows.scores, rows.labels), rows.users, rows.over)


def _entropy(rows: Rows) -> Estimate:
    """Normalised entropy: the loss over the entropy of the share of positives, which moves with the users too."""
    loss, rate = _log_loss(rows), mean_of(rows.labels, rows.users, rows.over)
    if not 0 < rate.value < 1:
        return loss._replace(value=float("nan"))
    entropy = -rate.value * np.log(rate.value) - (1 - rate.value) * np.log1p(-rate.value)
    value = loss.value / entropy
    slope = np.log((1 - rate.value) / rate.value)
    return Estimate(float(value), loss.users, (loss.influence - value * slope * rate.influence) / entropy)


def _calibration(rows: Rows) -> Estimate:
    predicted, rate = mean_of(expit(rows.scores), rows.users, rows.over), mean_of(rows.labels, rows.users, rows.over)
    if rate.value == 0:
        return rate._replace(value=float("nan"))
    value = predicted.value / rate.value
    return Estimate(value, rate.users, (predicted.influence - value * rate.influence) / rate.value)


def _ece(rows: Rows) -> Estimate:
    """Expected calibration error; a bin counts by the sign that its error has."""
    predicted = expit(rows.scores)
    place = np.minimum((predicted * BINS).astype(int), BINS - 1)
    signs = np.sign(rows.over.total(np.bincount(place, predicted - rows.labels, BINS)))[place]
    return mean_of(signs * (predicted - rows.labels), rows.users, rows.over)


def _errors(rows: Rows) -> Floats:
    assert rows.logits is not None and rows.targets is not None
    return rows.logits[:, 0] - rows.targets


def _truth(rows: Rows) -> tuple[Ints, Ints, Floats]:
    """The class of each row, the likeliest one, and the loss: [B]."""
    assert rows.logits is not None and rows.targets is not None
    truth = rows.targets.astype(np.int64)
    return truth, rows.logits.argmax(1), -np.take_along_axis(log_softmax(rows.logits, axis=1), truth[:, None], axis=1)[:, 0]


def _macro_f1(rows: Rows) -> Estimate:
    """The mean over classes of 2 TP / (rows that are of the class + rows that are called so)."""
    truth, called, _ = _truth(rows)
    assert rows.logits is not None
    hit, classes = truth == called, rows.logits.shape[1]
    both = rows.over.total(np.bincount(truth, minlength=classes) + np.bincount(called, minlength=classes))
    there = both > 0
    f1 = np.divide(2.0 * rows.over.total(np.bincount(truth[hit], minlength=classes)), both, out=np.zeros(classes), where=there)
    per_row, own = np.divide(1.0, both, out=np.zeros(classes), where=there), there.sum()
    influence = 2 * hit * per_row[truth] - f1[truth] * per_row[truth] - f1[called] * per_row[called]
    return by_owner(float(f1[there].mean()), rows.users, influence / own)


def _mean_action(rows: Rows, of: Callable[[Floats, Floats, Ints, Over], Estimate]) -> Estimate:
    """The mean of a metric over the actions for which it is defined."""
    assert rows.logits is not None and rows.targets is not None
    every = [of(rows.logits[:, at], rows.targets[:, at], rows.users, rows.over) for at in range(rows.logits.shape[1])]
    defined = [one for one in every if np.isfinite(one.value)]
    if not defined:
        return every[0]
    return Estimate(float(np.mean([one.value for one in defined])), defined[0].users, np.mean([one.influence for one in defined], axis=0))


def set_estimates(scores: Floats, ratings: Floats, predicted: Floats | None, users: Ints) -> dict[str, Estimate]:
    """Estimates over ratings of sets [B]; those that are undefined are absent. predicted: on the scale of ratings, None for none."""
    found = {}
    if predicted is not None and len(ratings):
        found["set_rmse"] = root_of((predicted - ratings) ** 2, users)
    if len(ratings) > 1:
        found["set_spearman"] = rank_correlation(scores, ratings, users)
    return {key: one for key, one in found.items() if np.isfinite(one.value)}


Measure = Callable[[Rows], Estimate]
RANKED: dict[str, Measure] = {"auc": _auc, "user_auc": _user_auc}
PREDICTED: dict[str, Measure] = {"log_loss": _log_loss, "ne": _entropy, "calibration": _calibration, "ece": _ece}
MEASURED: dict[str, dict[str, Measure]] = {
    "binary": RANKED | PREDICTED,
    "regression": RANKED
    | {
        "rmse": lambda rows: root_of(_errors(rows) ** 2, rows.users, rows.over),
        "mae": lambda rows: mean_of(np.abs(_errors(rows)), rows.users, rows.over),
    },
    "multi_class": RANKED
    | {
        "accuracy": lambda rows: mean_of((_truth(rows)[0] == _truth(rows)[1]).astype(float), rows.users, rows.over),
        "macro_f1": _macro_f1,
        "class_log_loss": lambda rows: mean_of(_truth(rows)[2], rows.users, rows.over),
    },
    "actions": RANKED
    | {
        "action_auc": lambda rows: _mean_action(rows, area),
        "action_log_loss": lambda rows: _mean_action(rows, lambda z, y, users, over: mean_of(log_losses(z, y), users, over)),
    },
}  # by output: the metrics over rows

"""Formulas of outputs against scikit-learn, on random and on degenerate rows."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn import metrics as oracle

from workers.evaluation.outputs import evaluate_outputs, predictions, reliability
from workers.specs.schema import BINARY, Task

RNG = np.random.default_rng(4)
B = 400
KNOWN = np.ones(B, bool)
LABELS = (RNG.random(B) < 0.3).astype(float)
CLASSES = Task(output="multi_class", classes=("a", "b", "c"), liked=("c",))
ACTIONS = Task(output="actions", classes=("view", "buy"), liked=("buy",))


def test_binary_is_judged_as_scikit_learn_does():
    logits = RNG.normal(0, 2, (B, 1))
    found, tables = evaluate_outputs(BINARY, logits, LABELS, LABELS, KNOWN)
    loss = oracle.log_loss(LABELS, expit(logits[:, 0]))
    assert found["log_loss"] == pytest.approx(loss)
    always = oracle.log_loss(LABELS, np.full(B, LABELS.mean()))
    assert found["ne"] == pytest.approx(loss / always)
    assert found["calibration"] == pytest.approx(expit(logits).mean() / LABELS.mean())
    observed = [bin["observed"] for bin in tables["reliability"]]
    predicted = [bin["predicted"] for bin in tables["reliability"]]
    from sklearn.calibration import calibration_curve

    true, said = calibration_curve(LABELS, expit(logits[:, 0]), n_bins=15)
    assert observed == pytest.approx(true)
    assert predicted == pytest.approx(said)
    assert sum(bin["rows"] for bin in tables["reliability"]) == B


def test_a_model_that_knows_only_the_share_has_entropy_one_and_is_calibrated():
    rate = LABELS.mean()
    found, _ = evaluate_outputs(BINARY, np.full((B, 1), np.log(rate / (1 - rate))), LABELS, LABELS, KNOWN)
    assert found["ne"] == pytest.approx(1)
    assert found["calibration"] == pytest.approx(1)
    assert found["ece"] == pytest.approx(0, abs=1e-9)


def test_regression_is_judged_as_scikit_learn_does():
    targets, logits = RNG.integers(1, 6, B).astype(float), RNG.normal(3, 1, (B, 1))
    found, tables = evaluate_outputs(Task(output="regression"), logits, LABELS, targets, KNOWN)
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(targets, logits[:, 0]))
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(targets, logits[:, 0]))
    assert [row["target"] for row in tables["residuals"]] == [1, 2, 3, 4, 5]
    many, _ = evaluate_outputs(Task(output="regression"), logits, LABELS, RNG.normal(0, 1, B), KNOWN)
    assert many["rmse"] > 0
    perfect, _ = evaluate_outputs(Task(output="regression"), targets[:, None], LABELS, targets, KNOWN)
    assert perfect["rmse"] == perfect["mae"] == 0


def test_classes_are_judged_as_scikit_learn_does():
    truth, logits = RNG.integers(0, 3, B), RNG.normal(0, 1, (B, 3))
    found, tables = evaluate_outputs(CLASSES, logits, LABELS, truth.astype(float), KNOWN)
    said = logits.argmax(1)
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(truth, said))
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(truth, said, average="macro"))
    assert found["class_log_loss"] == pytest.approx(oracle.log_loss(truth, softmax(logits, axis=1)))
    assert tables["confusion"] == oracle.confusion_matrix(truth, said).tolist()
    assert predictions(CLASSES, logits).sum(1) == pytest.approx(np.ones(B))


def test_a_class_that_nobody_has_or_says_does_not_count_in_f1():
    truth, said = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    logits = np.eye(3)[said]  # of three classes two occur
    found, _ = evaluate_outputs(CLASSES, logits, truth * 0.0, truth.astype(float), np.ones(6, bool))
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(truth, said, average="macro"))


def test_each_action_is_judged_as_scikit_learn_does():
    targets, logits = (RNG.random((B, 2)) < [0.5, 0.1]).astype(float), RNG.normal(0, 1, (B, 2))
    found, tables = evaluate_outputs(ACTIONS, logits, LABELS, targets, KNOWN)
    areas = [oracle.roc_auc_score(targets[:, k], logits[:, k]) for k in range(2)]
    losses = [oracle.log_loss(targets[:, k], expit(logits[:, k])) for k in range(2)]
    assert [row["auc"] for row in tables["actions"]] == pytest.approx(areas)
    assert [row["log_loss"] for row in tables["actions"]] == pytest.approx(losses)
    assert found["action_auc"] == pytest.approx(np.mean(areas))
    assert found["action_log_loss"] == pytest.approx(np.mean(losses))


def test_an_action_that_never_happens_has_no_auc_and_the_others_keep_theirs():
    targets, logits = np.stack([LABELS, np.zeros(B)], 1), RNG.normal(0, 1, (B, 2))
    found, tables = evaluate_outputs(ACTIONS, logits, LABELS, targets, KNOWN)
    assert tables["actions"][1]["auc"] is None
    assert found["action_auc"] == pytest.approx(oracle.roc_auc_score(LABELS, logits[:, 0]))


def test_rows_that_train_does_not_know_are_left_out_and_no_row_is_no_metric():
    logits, known = RNG.normal(0, 1, (B, 1)), np.arange(B) < 100
    found, _ = evaluate_outputs(BINARY, logits, LABELS, LABELS, known)
    assert found["log_loss"] == pytest.approx(oracle.log_loss(LABELS[:100], expit(logits[:100, 0])))
    assert evaluate_outputs(BINARY, logits, LABELS, LABELS, np.zeros(B, bool))[0] == {}
    lone = evaluate_outputs(BINARY, logits, np.zeros(B), np.zeros(B), KNOWN)[0]
    assert {"ne", "calibration"}.isdisjoint(lone)


def test_reliability_puts_certainty_into_the_last_bin():
    assert reliability(np.array([1.0, 0.0]), np.array([1.0, 0.0]))[-1] == {"predicted": 1.0, "observed": 1.0, "rows": 1}

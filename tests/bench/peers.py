"""RecBole as a contender, in the environment that RECBOLE_PYTHON names: its own loader, model and trainer, on our rows."""

import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from tests.bench import turns


def export(ids: np.ndarray, dense: np.ndarray, labels: np.ndarray, names: list[str], folder: Path) -> None:
    """Rows as RecBole's atomic file `rows/rows.inter`."""
    folder.mkdir()
    header = [f"{name}:token" for name in names] + [f"d{k}:float" for k in range(dense.shape[1])] + ["label:float"]
    with (folder / "rows.inter").open("w") as file:
        file.write("\t".join(header) + "\n")
        for row, numbers, label in zip(ids.tolist(), dense.round(3).tolist(), labels.tolist(), strict=True):
            file.write("\t".join(map(str, [*row, *numbers, label])) + "\n")


def main(folder: Path, asked: dict) -> None:
    """Answer turns; `what` does not matter."""
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer

    torch.set_num_threads(1)
    loaders: dict[int, Iterator] = {}
    trainer = None
    turns.announce(folder)
    while (told := turns.next_turn(folder)) != turns.END:
        size = told["batch_size"]
        if size not in loaders:
            config = Config(model=asked["model"], dataset="rows", config_dict={
                "data_path": str(folder), "use_gpu": False, "show_progress": False, "state": "ERROR", "reproducibility": False,
                "USER_ID_FIELD": asked["user"], "ITEM_ID_FIELD": asked["item"], "LABEL_FIELD": "label", "load_col": None,
                "train_neg_sample_args": None, "train_batch_size": size, "embedding_size": asked["dim"],
                "mlp_hidden_size": asked["layers"], "dropout_prob": 0.0, "checkpoint_dir": str(folder), "worker": 0,
                "eval_args": {"split": {"RS": [0.98, 0.01, 0.01]}, "order": "RO", "group_by": None, "mode": "labeled"},
                "metrics": ["AUC"], "valid_metric": "AUC", "torch_num_threads": 1,
            })  # fmt: skip
            dataset = create_dataset(config)
            data, _, _ = data_preparation(config, dataset)
            if trainer is None:
                trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, get_model(config["model"])(config, data.dataset))
            loaders[size] = _endless(data)
        started, cpu = time.perf_counter(), time.process_time()
        trainer._train_epoch(islice(loaders[size], told["steps"]), 0)
        turns.answer(folder, told["steps"] * size, time.perf_counter() - started, time.process_time() - cpu)


def _endless(data) -> Iterator:
    while True:
        for interaction in data:
            if len(interaction) == data.step:
                yield interaction


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))

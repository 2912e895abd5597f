"""A package as a folder that MLflow reads: a pyfunc by models-from-code, with our code and pinned requirements, and nothing pickled."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

import workers
from workers.registry import Package, metadata_wheel, requirements

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CODE = Path(workers.__file__).parent
SCRIPT = Path(__file__).with_name("mlflow_model.py")  # copied into the model: it imports nothing of the engine
ARTIFACT = "package"


def write_mlflow_folder(package_folder: Path, package: Package, liked: list[str], folder: Path) -> None:
    """Write the MLflow model of a package to a new folder.

    Args:
        liked: ids of items, for the example of a request.
    """
    import mlflow.pyfunc

    pinned = requirements(list(package.stages), index=(package_folder / "index.faiss").is_file())
    wheel = [line for line in pinned if line.startswith("./")]
    with _apart():
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(SCRIPT),
            artifacts={ARTIFACT: str(package_folder)},
            code_paths=[str(CODE)],
            signature=signature(package),
            pip_requirements=pinned,
            input_example=pd.DataFrame({"liked": [liked]}),  # never a user's id
        )
    if wheel:
        metadata_wheel(folder)
    _drop_paths(folder)
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)


@contextmanager
def _apart() -> Iterator[None]:
    """Without MLflow's bars and remarks on each file that it copies; and without the lock file of the folder that the workbench was
    started in, from which a server would install all of the workbench in place of the pinned requirements."""
    wanted, log = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_UV_AUTO_DETECT": "false"}, logging.getLogger("mlflow")
    before, level = {name: os.environ.get(name) for name in wanted}, log.level
    os.environ.update(wanted)
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def signature(package: Package) -> "ModelSignature":
    """Columns and parameters of a request, and columns of an answer; see `workers.registry.Query` and `Answer`."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array, Object, Property

    texts, item = (
        Array(DataType.string),
        Object(
            [Property("item_id", DataType.string), Property("title", DataType.string, required=False), Property("score", DataType.float)]
        ),
    )
    return ModelSignature(
        inputs=Schema(
            [
                *([ColSpec(DataType.string, "user_id", required=False)] if package.users else []),
                ColSpec(texts, "liked", required=False),
                ColSpec(texts, "candidates", required=False),
            ]
        ),
        outputs=Schema([ColSpec(Array(item), "items"), ColSpec(DataType.boolean, "known_user"), ColSpec(texts, "left_out")]),
        params=ParamSchema(
            [
                ParamSpec("k", DataType.long, 10),
                ParamSpec("exclude_seen", DataType.boolean, package.exclude_seen),
                ParamSpec("genres", DataType.string, [], shape=(-1,)),
                ParamSpec("least_likes", DataType.long, 0),
            ]
        ),
    )


def _drop_paths(folder: Path) -> None:
    """Let the record of a model name its files by their place in the folder alone: MLflow keeps where they came from too."""
    path = folder / "MLmodel"
    record = yaml.safe_load(path.read_text(encoding="utf-8"))
    flavor = record["flavors"]["python_function"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    path.write_text(yaml.safe_dump(record, sort_keys=True, allow_unicode=True), encoding="utf-8")

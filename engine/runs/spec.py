"""The spec that a run was submitted with, typed by the kind of run."""

import functools
import json

from pydantic import ValidationError

from engine.datasets import DatasetSpec, DownloadSpec
from engine.runs.store import Kind
from workers.exports import ListExportSpec
from workers.importance import FeatureTestSpec
from workers.run import RunSpec
from workers.specs import explain

SubmittedSpec = DatasetSpec | RunSpec | DownloadSpec | ListExportSpec | FeatureTestSpec
SPECS: dict[Kind, type[SubmittedSpec]] = {
    "prepare": DatasetSpec,
    "train": RunSpec,
    "download": DownloadSpec,
    "export": ListExportSpec,
    "features": FeatureTestSpec,
}


@functools.lru_cache(maxsize=4096)
def parse(kind: Kind, text: str) -> SubmittedSpec:
    """The spec of a run out of its JSON text; the same text gives the same (frozen) spec.

    Raises:
        ValueError: this version does not know such settings; says which and why.
    """
    try:
        return SPECS[kind].model_validate(json.loads(text))
    except ValidationError as error:
        raise ValueError(explain(error)) from error
    except OSError as error:  # a source looks at the head of its files
        raise ValueError(str(error)) from error

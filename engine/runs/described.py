"""How a run is called, and the tags by which it is found, from its spec."""

from engine.datasets import DownloadSpec
from engine.runs.spec import SubmittedSpec
from engine.runs.store import Kind
from workers.exports import ListExportSpec
from workers.importance import FeatureTestSpec
from workers.run import RunSpec


def described(spec: SubmittedSpec) -> tuple[Kind, str, dict[str, str]]:
    """Kind, title and tags of a run."""
    if isinstance(spec, RunSpec):
        return "train", spec.title, {"dataset": spec.dataset, "model": spec.model.kind}
    if isinstance(spec, DownloadSpec):
        return "download", f"Download {spec.wanted.title}", {"download": spec.key}
    if isinstance(spec, ListExportSpec):
        return "export", f"Top {spec.k} of {spec.title or spec.run[:8]}", {"dataset": spec.dataset}
    if isinstance(spec, FeatureTestSpec):
        return "features", f"Features of {spec.title or spec.features_of[:8]}"[:120], {"dataset": spec.dataset}
    return "prepare", f"Prepare {spec.name}", {"dataset_name": spec.name}

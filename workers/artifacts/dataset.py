"""A prepared dataset, as everything reads it that comes after its preparation: its folder, and what its manifest says."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from workers.artifacts.digests import read_sealed
from workers.artifacts.results import MANIFEST, RANKING, TEST, TRAIN
from workers.specs import BINARY, TARGETS, USER_ID, FeatureSchema, Target, Task

NONE: Mapping[str, Any] = MappingProxyType({})


def lacks_target(target: Target, dataset: Path) -> str | None:
    """Why lists cannot be measured by a target on a dataset, in a sentence; None where they can."""
    if target == "later":
        return None
    import pyarrow.parquet as pq

    if target in pq.read_schema(dataset / RANKING / f"{TEST}.parquet").names:
        return None
    return (
        f"The target is {TARGETS[target]}, but this dataset has no times, or was prepared before there were targets: prepare it again, "
        "or choose all later likes."
    )


class PreparedDataset(NamedTuple):
    """A dataset that is whole: its manifest is written last. What is read while it is being prepared takes its folder instead."""

    folder: Path
    schema: FeatureSchema
    task: Task = BINARY  # what its label gives models to predict
    label: Mapping[str, Any] = NONE  # the rule behind the label: kind, output, classes, liked, threshold, mean
    block_rows: int = 1  # of the largest block
    interactions: Mapping[str, int] = NONE  # rows of each split
    positives: Mapping[str, int] = NONE  # liked rows of each split
    counts: Mapping[str, Any] = NONE  # all that the manifest counts
    history: int | None = None  # liked items in the history of a user at most; None where it is not known
    known_at_test: tuple[str, ...] = (TRAIN,)  # splits whose interactions are known of a person when test begins; see `known`

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the manifest of a dataset.

        Raises:
            OSError: there is no manifest. KeyError or ValueError: it is not one of a prepared dataset, or was changed since.
        """
        manifest = read_sealed(folder / MANIFEST)
        label, counts = manifest.get("label", {}), manifest["counts"]  # older manifests have no label
        return cls(
            folder=folder,
            schema=FeatureSchema.model_validate(manifest["schema"]),
            task=Task.of(label),
            label=label,
            block_rows=manifest["block_rows"],
            interactions=counts["interactions"],
            positives=counts["positives"],
            counts=counts,
            history=manifest.get("spec", {}).get("history"),
            known_at_test=tuple(manifest.get("known_at_test", (TRAIN,))),  # older datasets stay as they were
        )

    def known(self, split: str) -> tuple[str, ...]:
        """The splits that models know of a person for whom they make the lists of a split, in order of time.

        Parameters and statistics are learned from train alone. What a model reads of a person is all that came before: for test that is
        what the person liked in validation too, as whoever serves the model would know it.
        """
        return self.known_at_test if split == TEST else (TRAIN,)

    @property
    def num_users(self) -> int:
        """Users of train; LookupError where the dataset has no users."""
        return self.schema.feature(USER_ID).num_rows - 1

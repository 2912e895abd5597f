"""Copy the weights of a checkpoint to a place of their own, without what only a training needs."""

import shutil
from pathlib import Path

from safetensors import safe_open

from workers.artifacts.results import BEST, INDEX, write_json
from workers.artifacts.shards import OPTIMIZER, facts, file_entry
from workers.artifacts.streamed import write_tensors


def copy_weights(folder: Path, root: Path) -> None:
    """Make `root` a checkpoint folder whose best epoch has the weights of another one, and no states of optimizers.

    Args:
        folder: of one checkpoint, whose digests were compared. root: a new folder.
    """
    index, target = facts(folder), root / folder.name
    target.mkdir(parents=True)
    files = {}
    for name, entry in index["files"].items():
        path, kept = target / Path(name).name, {key: one for key, one in entry["shards"].items() if not key.startswith(OPTIMIZER)}
        if len(kept) == len(entry["shards"]):
            shutil.copyfile(folder / path.name, path)
            files[path.name] = entry
            continue
        with safe_open(folder / path.name, "pt") as file:
            written = write_tensors({key: file.get_tensor(key) for key in kept}, path)
        files[path.name] = file_entry(path, kept, written)
    write_json(target / INDEX, {name: value for name, value in index.items() if name != "positions"} | {"files": files})
    write_json(root / BEST, {"folder": target.name})

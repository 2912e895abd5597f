"""What a store says of a run is no reason to write anywhere but into the cache of that run."""

from pathlib import Path

import pytest

from engine.runs import fetching
from workers.artifacts import DamagedError


@pytest.mark.parametrize("name", ["results/../../../escaped", "/tmp/escaped", ".."])
def test_a_name_that_leads_out_of_the_runs_folder_is_refused(workspace: Path, name: str) -> None:
    with pytest.raises(DamagedError, match="no path in its folder"):
        fetching._fetch("a" * 32, workspace / "cache" / "runs" / ("a" * 32), name)
    assert not list(workspace.rglob("*escaped*"))

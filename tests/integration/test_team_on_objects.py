"""A team whose artifacts and vectors are in an object store: a run of one is compared, recommended from and published by another."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import lancedb
import pytest

import engine
from engine.runs import fetching, store
from tests import objects, prepared
from tests.commands import recbench
from tests.objects import SECRET, ObjectStore
from workers.run import RunSpec

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with objects.running() as found:
        yield found


def test_a_run_is_fetched_compared_and_published_by_a_second_workspace(
    server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.lead(monkeypatch, server)
    bucket = server.bucket()
    monkeypatch.setenv("RECBENCH_TRACKING_URI", f"sqlite:///{tmp_path / 'team.db'}")
    monkeypatch.setenv("RECBENCH_ARTIFACT_ROOT", f"s3://{bucket}/mlflow")
    anns, bobs = tmp_path / "ann", tmp_path / "bob"
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(anns))
    films = prepared.prepare(anns, prepared.films_spec(prepared.write_films(tmp_path / "source")))
    specs = []
    for kind in ("ials", "popularity"):
        specs.append(tmp_path / f"{kind}.json")
        specs[-1].write_text(RunSpec.model_validate({"dataset": films, "model": {"kind": kind}}).model_dump_json())
    ids = [run["run_id"] for run in recbench("train", *map(str, specs), "--wait")["runs"]]
    own = recbench("compare", *ids)
    user = engine.datasets.search_users(films)["user_id"].iloc[0]
    wanted = recbench("recommend", ids[0], "--user", user)

    monkeypatch.setenv("RECBENCH_WORKSPACE", str(bobs))
    shutil.copytree(anns / "datasets", bobs / "datasets")
    shutil.rmtree(anns)
    found = recbench("compare", *ids)
    assert found["incomplete"] == {} and found["table"] == own["table"]
    assert recbench("recommend", ids[0], "--user", user) == wanted
    published = recbench("publish", ids[0], f"lance:s3://{bucket}/vectors")
    assert published["recall"] == 1.0
    database = lancedb.connect(f"s3://{bucket}/vectors", storage_options={"endpoint": server.endpoint, "allow_http": "true"})
    assert database.open_table(f"items_{ids[0][:8]}").count_rows() == published["items"] > 0

    shutil.rmtree(bobs / "cache")
    assert engine.runs.get_run(ids[0]).title  # a run is read before what it wrote
    monkeypatch.setattr(fetching, "_failed", {})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    said = fetching.missing(ids[0], ["results/per_user.parquet"])
    assert said is not None and "S3 at http://127.0.0.1:1 does not answer (connection refused)" in said and SECRET not in said
    assert "is not in this workspace and cannot be fetched from s3://" in said
    with pytest.raises(ValueError, match=r"Embeddings cannot be written to .*S3 at http://127\.0\.0\.1:1 does not answer"):
        _publish_without_a_store(ids[0], f"lance:s3://{bucket}/vectors", server, monkeypatch)
    store.opened.forget()


def _publish_without_a_store(run_id: str, where: str, server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is opened while the store answers, and published when it does not."""
    from engine.recommend import publishing, recommender

    monkeypatch.setattr(fetching, "_failed", {})
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    opened = recommender.open_model(run_id)
    monkeypatch.setattr(recommender, "open_model", lambda _: opened)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    publishing.publish(run_id, where)

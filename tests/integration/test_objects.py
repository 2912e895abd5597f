"""Tables in an object store read like those of this machine, from a real server that speaks S3; what it refuses is a sentence."""

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from engine import datasets
from engine.compute import Compute
from engine.settings import settings
from engine.sources.table import TableSource
from engine.spark.executors import options
from engine.tables import inspect_table, reader
from tests import messy, objects, prepared
from tests.commands import recbench
from tests.objects import SECRET, ObjectStore
from tests.pages.reading import opened, plainly
from workers.stores import objects as stores

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow
COLUMNS = [{"name": "user", "role": "user"}, {"name": "item", "role": "item"}]


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with objects.running() as found:
        yield found


@pytest.fixture
def store(server: ObjectStore, untouched: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    objects.lead(monkeypatch, server)
    return server


def uploaded(store: ObjectStore, bucket: str, path: Path, under: str) -> str:
    """The URI of a file, or of a folder with all that is in it, once it is in a bucket."""
    if path.is_file():
        return store.put(bucket, f"{under}/{path.name}", path)
    for file in path.rglob("*"):
        if file.is_file():
            store.put(bucket, f"{under}/{path.name}/{file.relative_to(path).as_posix()}", file)
    return f"s3://{bucket}/{under}/{path.name}"


def test_every_messy_table_reads_like_its_copy_on_this_machine(store: ObjectStore, tmp_path: Path) -> None:
    bucket = store.bucket()
    for place, (name, case) in enumerate(messy.cases(tmp_path).items()):
        here = TableSource(**case.fields)
        there = here.model_copy(update={"path": uploaded(store, bucket, Path(here.path), str(place))})
        there.check()
        pd.testing.assert_frame_equal(there.frame(), here.frame(), obj=name)
        assert there.size_hint() == here.size_hint(), name
        assert there.notes() == here.notes(), name
        left_out = {"path"}
        assert inspect_table(there.path).model_dump(exclude=left_out) == inspect_table(here.path).model_dump(exclude=left_out), name


@pytest.mark.thorough
def test_a_dataset_prepared_from_objects_is_that_of_the_files(store: ObjectStore) -> None:
    """By Spark, in a driver as people start it."""
    here = settings().workspace / "source"
    ratings = prepared.write_films(here)
    bucket = store.bucket()
    fields = prepared.films_spec(ratings).model_dump(mode="json")
    moved = json.loads(json.dumps(fields).replace(str(ratings.parent), uploaded(store, bucket, ratings.parent, "films")))
    audits = []
    for spec in (fields, moved | {"name": "moved"}):
        path = settings().workspace / "spec.json"
        path.write_text(json.dumps(spec))
        id = recbench("prepare", str(path))["dataset"]
        audit = datasets.audit(id)
        assert audit is not None
        audits.append((datasets.get_dataset(id).counts, audit.model_dump()))
    assert audits[0] == audits[1]


def test_the_identity_of_an_object_is_its_content(store: ObjectStore) -> None:
    bucket = store.bucket()
    source = TableSource(path=store.put(bucket, "a/t.csv", b"user,item\n1,2\n"), columns=COLUMNS)
    first = source.fingerprint()
    store.put(bucket, "a/t.csv", b"user,item\n1,2\n")
    copy = source.model_copy(update={"path": store.put(bucket, "b/other.csv", b"user,item\n1,2\n")})
    assert source.fingerprint() == first == copy.fingerprint()
    store.put(bucket, "a/t.csv", b"user,item\n1,3\n")
    assert source.fingerprint() != first


def test_a_folder_leaves_out_what_a_folder_of_this_machine_leaves_out(store: ObjectStore) -> None:
    bucket = store.bucket()
    for key, content in {"d/b.csv": b"user,item\n2,2\n", "d/in/a.csv": b"user,item\n3,3\n", "d/a.csv": b"user,item\n1,1\n"}.items():
        store.put(bucket, key, content)
    for key in ("d/_SUCCESS", "d/.hidden.csv", "d/_old/a.csv", "d/README.md", "d/empty/", "dd/a.csv"):
        store.put(bucket, key, b"" if key.endswith("/") else b"x")
    for scheme, end in (("s3", ""), ("s3a", "/")):
        frame = TableSource(path=f"{scheme}://{bucket}/d{end}", columns=COLUMNS).frame()
        assert frame["user_id"].tolist() == ["1", "2", "3"]


def test_the_data_page_previews_a_table_in_a_store(store: ObjectStore) -> None:
    rows = "".join(f"{n % 30:03d},film-{n % 17},{1 + n * 7 % 5},{1_600_000_000 + 86_400 * n}\n" for n in range(300))
    uri = store.put(store.bucket(), "ratings.csv", f"userId,movieId,rating,timestamp\n{rows}".encode())
    at = opened("data", view="new", source="table")
    at.text_input("data.table.source.path").set_value(uri).run()
    assert not at.exception and not at.error
    assert "300 rows read" in " ".join(str(element.value) for kind in (at.markdown, at.caption, at.html) for element in kind)
    at.text_input("data.table.source.path").set_value(f"{uri}.gz").run()
    assert not at.exception and "There is no object s3://" in plainly(at.error[0].value)


def refused(path: str) -> str:
    """What the Data page says of a table, and the check before anything is prepared."""
    with pytest.raises((ValueError, FileNotFoundError)) as said:
        inspect_table(path)
    with pytest.raises((ValueError, FileNotFoundError)) as again:
        TableSource(path=path, columns=COLUMNS).check()
    assert str(again.value) == str(said.value) and SECRET not in str(said.value)
    return str(said.value)


def test_what_is_not_there_is_a_sentence(store: ObjectStore) -> None:
    bucket = store.bucket()
    assert refused(f"s3://{bucket}/t.csv") == f"There is no object s3://{bucket}/t.csv; check the address."
    assert refused("s3://nobodys-bucket/t.csv").startswith(f"There is no bucket 'nobodys-bucket' in S3 at {store.endpoint}; check")
    assert refused(f"s3://{bucket}") == f"s3://{bucket} holds no file; give the folder that holds the table."
    assert "names no bucket" in refused("s3:///t.csv")
    with pytest.raises(ValueError, match="holds credentials"):
        inspect_table(f"s3://{objects.KEY}@{bucket}/t.csv")


def test_who_may_not_read_is_told_so(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = store.bucket()
    uri = store.put(bucket, "t.csv", b"user,item\n1,2\n")
    users = store.client("iam")
    keys = {name: users.create_user(UserName=name) and users.create_access_key(UserName=name)["AccessKey"] for name in ("list", "get")}
    for name, actions in {"list": ["s3:ListBucket"], "get": ["s3:GetObject", "s3:HeadObject"]}.items():
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        users.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))

    def become(key: dict[str, str]) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])

    with store.strict():
        assert refused(uri).startswith(f"S3 does not let this user read {uri}; check AWS_ACCESS_KEY_ID")  # a key that nobody has
        become(keys["list"])
        for where in (uri, f"s3://{bucket}"):
            said = refused(where)
            assert said.startswith("S3 does not let this user read") and keys["list"]["SecretAccessKey"] not in said
        become(keys["get"])  # and may ask nothing about the bucket
        assert inspect_table(uri).columns[0].name == "user"


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_server_that_is_away_is_a_sentence(store: ObjectStore, silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert refused("s3://bucket/access_key.csv").startswith(
        "S3 at http://127.0.0.1:1 does not answer (connection refused); check the address"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://nowhere.invalid")
    assert "does not answer (its name is not known)" in refused("s3://bucket/t.csv")
    monkeypatch.setattr(stores, "ANSWER_S", 1.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent}")
    assert "does not answer (no answer within 1 s)" in refused("s3://bucket/t.csv")


class _Elsewhere(BaseHTTPRequestHandler):
    """Answers as S3 does for a bucket of another region."""

    def _answer(self) -> None:
        self.send_response(301)
        self.send_header("x-amz-bucket-region", "eu-central-1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = _answer

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def test_another_region_is_named(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as elsewhere:
        Thread(target=elsewhere.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{elsewhere.server_port}")
        said = refused("s3://bucket/t.csv")
        elsewhere.shutdown()
    assert said == "s3://bucket/t.csv is in another region than us-east-1; set AWS_REGION to eu-central-1."


def test_executors_know_the_server_and_are_sent_no_secret(store: ObjectStore) -> None:
    chosen = options(Compute(master="spark://host:7077"), None, {})
    assert chosen["spark.executorEnv.AWS_ENDPOINT_URL"] == store.endpoint
    assert chosen["spark.executorEnv.AWS_DEFAULT_REGION"] == "us-east-1"
    assert not any(SECRET in value or objects.KEY in value for value in chosen.values())


@pytest.mark.thorough
def test_executors_read_objects_in_parts(
    store: ObjectStore, spark: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.environment.items():
        monkeypatch.setitem(spark.sparkContext.environment, name, value)  # the session may be older than this store
    monkeypatch.setattr(reader, "SPLIT_BYTES", 5000)
    rows = pd.DataFrame({"user": [f"u{k}" for k in range(5000)], "item": [f"i{k % 7}" for k in range(5000)]})
    rows.to_csv(tmp_path / "t.csv", index=False)
    rows.to_csv(tmp_path / "t.csv.gz", index=False)
    rows.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    rows.to_parquet(tmp_path / "t.parquet", row_group_size=1000)
    bucket = store.bucket()
    for name, format, parts in (("t.csv", "csv", 8), ("t.csv.gz", "csv", 1), ("t.jsonl", "jsonl", 20), ("t.parquet", "parquet", 5)):
        source = TableSource(path=store.put(bucket, name, tmp_path / name), format=format, columns=COLUMNS)
        table = reader.open_table(source)
        assert len(reader._parts(table.files[0], table.layout)) >= parts
        loaded = source.load(spark).interactions.toPandas()
        assert (loaded["user_id"] + loaded["item_id"]).tolist() == (rows["user"] + rows["item"]).tolist(), name

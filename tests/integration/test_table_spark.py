"""Spark reads a table as pandas does: the same values, the same problems, whatever is wrong with the file."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest

from engine.sources.table import TableSource
from engine.tables import reader, remote, stored
from engine.tables.inspect import inspect_table
from tests import messy
from tests.alike import same_in_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, messy.Messy]:
    return messy.cases(tmp_path_factory.mktemp("messy"))


@pytest.mark.fault("F46", "F48")
def test_spark_and_pandas_read_every_messy_table_alike(cases: dict[str, messy.Messy], spark: "SparkSession", workspace: Path) -> None:
    for name, case in cases.items():
        frame = same_in_spark(TableSource(**case.fields), spark, in_order=name != "a folder")
        assert len(frame) == len(case.rows), name


def test_a_file_that_is_cut_in_parts_reads_alike(
    tmp_path: Path, spark: "SparkSession", workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SPLIT_BYTES", 5000)
    ends = ["\n", "\r\n", "\r", "\n\n"]
    text = "u,i,r\r\n" + "".join(f"u{k},i{k % 7},{'bad,' if k % 100 == 99 else ''}{k % 5}{ends[k % 4]}" for k in range(10_000))
    (tmp_path / "t.csv").write_bytes(text.encode())
    roles = [{"name": "u", "role": "user"}, {"name": "i", "role": "item"}, {"name": "r", "role": "label"}]
    frame = same_in_spark(TableSource(path=str(tmp_path / "t.csv"), columns=roles), spark)
    assert len(frame) == 10_000
    assert frame["problem"].notna().sum() == 100


def test_users_and_items_tables_read_alike(tmp_path: Path, spark: "SparkSession", workspace: Path) -> None:
    (tmp_path / "t.csv").write_text("user,item\nu,i\n")
    (tmp_path / "items.csv").write_text('id,name,year,tags\ni,B,2001,x\ni,,2002,\ni,B,NA,z\n,C,1,\nbad\n007,"D, E",x,p|q\n')
    pd.DataFrame({"who": [1, 2, 2, None], "age": [1.5, None, 3, 4]}).to_parquet(tmp_path / "users.parquet")
    source = TableSource.model_validate({
        "path": str(tmp_path / "t.csv"),
        "columns": [{"name": "user", "role": "user"}, {"name": "item", "role": "item"}],
        "items": {"path": str(tmp_path / "items.csv"), "columns": [
            {"name": "id", "role": "item"}, {"name": "name", "role": "title"}, {"name": "year", "role": "dense"},
            {"name": "tags", "role": "tags"},
        ]},
        "users": {"path": str(tmp_path / "users.parquet"), "format": "parquet", "columns": [
            {"name": "who", "role": "user"}, {"name": "age", "role": "dense"},
        ]},
    })  # fmt: skip
    tables = source.load(spark)
    for id, loaded, frame in (("item_id", tables.items, source.items_frame()), ("user_id", tables.users, source.users_frame())):
        assert loaded is not None
        found = loaded.toPandas().sort_values(id).reset_index(drop=True)
        pd.testing.assert_frame_equal(found, frame.sort_values(id).reset_index(drop=True), check_dtype=False)
    assert source.users_frame()["user_id"].tolist() == ["1", "2"]


def test_whole_ids_of_both_tables_read_alike(tmp_path: Path, spark: "SparkSession", workspace: Path) -> None:
    (tmp_path / "r.csv").write_text("user,item\n12346.0,a\n12347,b\n7.50,c\n")
    (tmp_path / "u.csv").write_text("user,age\n12346,1\n12347.0,2\n12347,3\n7.50,4\n")
    user = {"name": "user", "role": "user"}
    users = {"path": str(tmp_path / "u.csv"), "columns": [user, {"name": "age", "role": "dense"}]}
    source = TableSource(path=str(tmp_path / "r.csv"), columns=[user, {"name": "item", "role": "item"}], users=users, whole_ids=True)
    frame, loaded = source.users_frame(), source.load(spark).users
    assert loaded is not None
    assert frame.set_index("user_id")["age"].to_dict() == {"12346": 1, "12347": 3, "7.50": 4}
    pd.testing.assert_frame_equal(loaded.orderBy("user_id").toPandas(), frame.sort_values("user_id", ignore_index=True), check_dtype=False)


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("typed") / "part.parquet"
    pd.DataFrame(
        {
            "user id": [2**62, 7, 8],
            "item": [1.0, 2.5, None],
            "when": pd.to_datetime(["2024-01-31 18:00:00.123456789", "2024-02-01", None], format="ISO8601").astype("datetime64[us]"),
            "tags": [["a", "b"], [], None],
            "ok": [True, False, None],
        }
    ).to_parquet(file)
    return file


TYPED = [
    {"name": "user id", "role": "user"}, {"name": "item", "role": "item"}, {"name": "when", "role": "timestamp"},
    {"name": "tags", "role": "tags"}, {"name": "ok", "role": "label"},
]  # fmt: skip


def test_a_table_of_the_catalogue_reads_like_its_file(typed: Path, spark: "SparkSession", workspace: Path) -> None:
    local = TableSource.model_validate({"path": str(typed), "format": "parquet", "columns": TYPED, "time_unit": "iso"})
    source = local.model_copy(update={"path": "table:default.shop", "format": "catalogue"})
    wide = pd.read_parquet(typed).astype({"when": "datetime64[us]"})
    spark.createDataFrame(pa.Table.from_pandas(wide)).write.mode("overwrite").saveAsTable("default.shop")
    try:
        guess = inspect_table("table:default.shop")
        assert {c.name: c.role for c in guess.columns}["user id"] == "user"
        assert guess.format == "catalogue"
        source.check()
        names = list(local.frame().columns)
        loaded = source.load(spark).interactions.toPandas().sort_values(names).reset_index(drop=True)
        pd.testing.assert_frame_equal(loaded, local.frame().sort_values(names).reset_index(drop=True))
        assert source.fingerprint() == source.fingerprint()
        assert source.size_hint() > 0
        with pytest.raises(ValueError, match="cannot be read"):
            source.model_copy(update={"path": "table:default.nowhere"}).check()
    finally:
        spark.sql("DROP TABLE default.shop")


def test_delta_without_its_library_says_what_to_set(tmp_path: Path, spark: "SparkSession", workspace: Path) -> None:
    source = TableSource.model_validate({"path": f"delta:{tmp_path}", "format": "delta", "columns": TYPED, "time_unit": "iso"})
    with pytest.raises(ValueError, match=r"set spark\.jars\.packages"):
        source.check()


def test_a_table_of_spark_in_a_store_without_a_connector_names_it(spark: "SparkSession", workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"no connector for s3://\. Set spark\.jars\.packages to org\.apache\.hadoop:hadoop-aws:3\.\d"):
        stored.typed(spark, "s3://bucket/t.parquet", "parquet")


def test_files_of_a_store_read_like_files_of_this_machine(
    cases: dict[str, messy.Messy], typed: Path, spark: "SparkSession", workspace: Path
) -> None:
    """The way of hdfs://, through Hadoop's file system, on file: which it serves as well."""
    wide = {"utf-16", "utf-16 without a mark"}
    for name, case in cases.items():
        source = TableSource(**case.fields)
        local = source.frame()
        if (
            source.format == "parquet"
            or source.quoting == "lines"
            or name in wide
            or "zip" in name
            or name in {"bz2", "xz", "zstd", "gzip called csv"}
        ):
            continue
        table = source.model_copy(update={"path": Path(source.path).as_uri()})
        loaded = stored.load(spark, table, source.outputs("interactions")).toPandas()
        names = list(local.columns)
        pd.testing.assert_frame_equal(
            loaded.sort_values(names).reset_index(drop=True), local.sort_values(names).reset_index(drop=True), obj=name
        )
        guess = stored.guess(spark, table.path, "interactions", {})
        assert guess.delimiter == inspect_table(source.path).delimiter, name
        assert stored.facts(spark, table, ())["rows"] > 0
    source = TableSource.model_validate({"path": str(typed), "format": "parquet", "columns": TYPED, "time_unit": "iso"})
    loaded = stored.load(spark, source.model_copy(update={"path": typed.as_uri()}), source.outputs("interactions")).toPandas()
    pd.testing.assert_frame_equal(loaded, source.frame())
    nanos = typed.with_name("nanos.parquet")
    pd.read_parquet(typed).astype({"when": "datetime64[ns]"}).dropna().to_parquet(nanos)
    assert stored.guess(spark, nanos.as_uri(), "interactions", {}).time_unit == "ns"


def test_a_page_looks_at_the_catalogue_through_a_process_of_its_own(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real metastore in a folder, filled by one process and read by others: no session runs in this one."""
    (tmp_path / "conf").mkdir()
    store = f"jdbc:derby:;databaseName={tmp_path}/metastore;create=true"
    settings = f"spark.sql.catalogImplementation hive\nspark.hadoop.javax.jdo.option.ConnectionURL {store}\n"
    (tmp_path / "conf" / "spark-defaults.conf").write_text(settings)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "conf"))
    monkeypatch.setenv("RECBENCH_SPARK_MASTER", "local[1]")
    for module in (stored, remote):
        monkeypatch.setattr(module, "active", lambda: None)
    rows = (
        "SELECT concat('0', id) AS user, id % 7 AS item, id % 5 + 0.5D AS rating, timestamp_seconds(1700000000 + id) AS at FROM range(100)"
    )
    fill = "from engine.spark import session; s = session('fill'); s.sql('CREATE DATABASE shop'); "
    fill += f's.sql("CREATE TABLE shop.bought AS {rows}")'
    subprocess.run([sys.executable, "-c", fill], check=True, capture_output=True, cwd=tmp_path, timeout=240)
    monkeypatch.chdir(tmp_path)
    guess = inspect_table("table:shop.bought")
    assert [column.role for column in guess.columns] == ["user", "item", "label", "timestamp"]
    source = TableSource(**guess.spec_fields())
    source.check()
    rows_read = source.frame()
    assert len(rows_read) == 100
    assert rows_read["user_id"].iloc[:2].tolist() == ["00", "01"]
    assert rows_read["timestamp"].iloc[0] == "2023-11-14 22:13:20.000000"
    assert len(source.frame(limit=3)) == 3, "from what was kept"
    assert source.fingerprint() == source.fingerprint()
    with pytest.raises(ValueError, match=r"table:shop\.sold cannot be read"):
        inspect_table("table:shop.sold")

"""A table of Spark in a store that it has no connector for is a sentence that names the connector."""

import pytest

from engine.tables.stored import unread

NONE, LOST = 'UnsupportedFileSystemException: No FileSystem for scheme "s3"', "ClassNotFoundException: Class …S3AFileSystem not found"


@pytest.mark.parametrize(
    "uri, problem, says",
    [
        ("delta:s3://b/k", NONE, "in its spark-defaults.conf and give delta:s3a://b/k; or give the files as CSV, JSON lines or Parquet"),
        ("table:shop.sales", NONE, "this Spark has no connector for s3://. Set spark.jars.packages to org.apache.hadoop:hadoop-aws:3.4.2"),
        (
            "s3://b/k.csv",
            NONE,
            "hadoop-aws:3.4.2 in its spark-defaults.conf and give s3a://b/k.csv; or give the files",
        ),
        ("s3a://b/k.csv", LOST, "no connector for s3a://. Set spark.jars.packages to org.apache.hadoop:hadoop-aws:3.4.2 in its"),
        ("abfss://c@a/k.csv", NONE, "org.apache.hadoop:hadoop-azure:3.4.2"),
        ("gs://b/k.csv", NONE, "Google's gcs-connector"),
        (
            "s3a://b/k.csv",
            "AccessDeniedException: b",
            "cannot be read by Spark (AccessDeniedException: b); check the address, the credentials",
        ),
        ("hdfs://n/k.csv", NONE, "check the address, the credentials and the connector in Spark"),
    ],
)
def test_a_missing_connector_is_named(uri: str, problem: str, says: str) -> None:
    said = unread(uri, problem, "3.4.2")
    assert said.startswith(f"{uri} cannot be read") and says in said

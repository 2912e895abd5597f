"""Addresses of objects, and sentences for what pyarrow says of stores: the texts are those of Google's and Microsoft's clients."""

import pytest

from workers.stores import address_of, explained, is_stored

GOOGLE = "google::cloud::Status(UNAVAILABLE: Retry policy exhausted, PerformWork() - CURL error [7]=Could not connect to server)"
AZURE = "Check for Hierarchical Namespace support failed. Azure Error: [] Fail to get a new connection. Could not connect to server"
DENIED = "google::cloud::Status(PERMISSION_DENIED: Permission denied to read metadata)"
REGION = "When getting information for key 'k' in bucket 'b': AWS Error UNKNOWN (HTTP status 301) during HeadObject: No response body."


def test_an_address_has_a_bucket_and_a_key() -> None:
    assert address_of("s3a://bucket/a/b.csv").path == "bucket/a/b.csv"
    assert address_of("gs://bucket").path == address_of("GS://bucket/").path == "bucket"
    azure = address_of("abfss://container@account.dfs.core.windows.net/a/b.csv")
    assert (azure.account, azure.path) == ("account", "container/a/b.csv")
    assert is_stored("S3://bucket/a") and not is_stored("/s3/a") and not is_stored("hdfs://node/a") and not is_stored("table:s3.a")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://", "names no bucket"),
        ("s3://AKIA:hush@bucket/k", "holds credentials"),
        ("gs://someone@bucket/k", "holds credentials"),
        ("s3://bucket/k?X-Amz-Signature=hush", "holds credentials"),
        ("abfss://account.dfs.core.windows.net/k", r"write abfss://container@account\.dfs\.core\.windows\.net/folder"),
        ("s3://bucket/\0", "NUL byte"),
    ],
)
def test_other_addresses_are_refused_without_their_secrets(uri: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        address_of(uri)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "text", "said"),
    [
        ("gs://b/k", GOOGLE, r"Google Cloud Storage does not answer \(connection refused\)"),
        ("gs://b/k", DENIED, "Google Cloud Storage does not let this user read gs://b/k; check GOOGLE_APPLICATION_CREDENTIALS"),
        ("abfss://c@a.dfs.core.windows.net/k", AZURE, r"Azure does not answer \(connection refused\)"),
        ("s3://b/k", REGION, "s3://b/k is in another region than .*; set AWS_REGION to that of the bucket"),
        ("s3://b/token", "When reading 'token' in bucket 'b': AWS Error SLOW_DOWN", "cannot be read from S3"),
    ],
)
def test_what_a_store_says_becomes_a_sentence(uri: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said), explained(uri):
        raise OSError(text)


def test_errors_of_other_files_stay_as_they_are() -> None:
    with pytest.raises(OSError, match="disk"), explained("/data/t.csv"):
        raise OSError("disk")

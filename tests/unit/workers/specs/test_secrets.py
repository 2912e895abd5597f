"""No password of a URI survives `mask`, harmless text does, and specs refuse what they would store."""

import logging
import string
from urllib.parse import quote, urlencode

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from engine.datasets import DatasetSpec
from engine.settings import Settings
from workers.exports import ListExportSpec
from workers.run import RunSpec
from workers.specs import MaskSecrets, mask
from workers.specs.spec import explain

SCHEMES = ["postgresql", "postgresql+psycopg2", "mysql", "s3a", "s3", "https", "http", "redis", "jdbc:mysql", "mongodb+srv", "lance+s3"]
# what RFC 3986 lets stand in a password, and what people forget to escape
passwords = st.text(string.ascii_letters + string.digits + "-._~!$&'()*+,;=:%@", min_size=1, max_size=40)
keys = st.text(string.ascii_letters + string.digits + "+/=", min_size=8, max_size=40)  # as of AWS
names = st.text(string.ascii_letters + string.digits + "._-%", max_size=12)
around = st.text(max_size=30)
PARAMETERS = [
    "token",
    "access_token",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "sig",
    "password",
    "api_key",
    "SecretKey",
]
HIDDEN = "h1dd3n"  # a part that nothing else holds


@given(st.sampled_from(SCHEMES), names, passwords, passwords, around, around)
@example("postgresql", "ann", "p@ss", "word", "Cannot connect to ", ".")
@example("redis", "", "", "x", "", "")
def test_no_password_of_a_uri_survives(scheme: str, user: str, first: str, last: str, before: str, after: str) -> None:
    text = f"{before} {scheme}://{user}:{first}{HIDDEN}{last}@host:5432/path {after}"
    assert HIDDEN not in mask(text)
    assert mask(mask(text)) == mask(text)


@given(st.sampled_from(["s3a", "s3", "postgresql"]), keys, keys)
def test_no_key_with_slashes_survives(scheme: str, first: str, last: str) -> None:
    assert HIDDEN not in mask(f"reading {scheme}://AKIAEXAMPLE:{first}{HIDDEN}{last}@bucket/a/b.csv failed")


@given(st.sampled_from(PARAMETERS), st.text(min_size=0, max_size=30), st.sampled_from(["?", "?a=1&", "?a=1;"]))
def test_no_secret_parameter_survives(name: str, value: str, before: str) -> None:
    text = f"GET https://bucket.s3.amazonaws.com/key{before}{urlencode({name: value + HIDDEN})}&b=2#top"
    shown = mask(text)
    assert HIDDEN not in shown
    assert shown.endswith("&b=2#top")


@given(st.text())
def test_text_without_addresses_and_names_of_secrets_is_unchanged(text: str) -> None:
    lower = text.lower()
    assume("://" not in text and "=" not in text and '"' not in text and "bearer" not in lower and "authorization" not in lower)
    assert mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8501/compare?runs=a,b&k=10",
        "https://host:8080/@user/story?at=a@b",
        "https://medium.com/@someone/an-article",
        "spark://master:7077", "hdfs://namenode:8020/data/a@b.csv", "s3a://bucket/key=1/part.parquet",
        "abfss://container@account.dfs.core.windows.net/folder", "postgresql://ann@db:5432/ml", "sqlite:////home/ann/mlflow.db",
        "epoch 3 of 10: loss=0.25 tokens=512 lr=0.1", "user_id=7, item_id=9, C1=68fd1e64", "mail ann@example.com: done",
        "http://[::1]:8080/a@b", "jdbc:postgresql://host:5432/db?ssl=true", '{"tokens": "5", "path": "s3://b/k"}',
        "the secret of a good list; the password is asked for",
    ],
)  # fmt: skip
def test_harmless_text_is_unchanged(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "text, shown",
    [
        ("postgresql://ann:secret@db:5432/ml", "postgresql://ann:…@db:5432/ml"),
        ("https://ghp_abcdef@github.com/a/b", "https://…@github.com/a/b"),
        ("s3a://AKIA:12345/ab+c@bucket/x", "s3a://AKIA:…@bucket/x"),
        (
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG spark.hadoop.fs.s3a.secret.key=abc",
            "AWS_SECRET_ACCESS_KEY=… spark.hadoop.fs.s3a.secret.key=…",
        ),
        ('{"password": "hunter2", "user": "ann"}', '{"password": "…", "user": "ann"}'),
        ("Authorization: Bearer abcdefghijklmnop.qrst", "Authorization: Bearer …"),
        ("['s3a://K:S@b/x', 'y']", "['s3a://K:…@b/x', 'y']"),
    ],
)
def test_what_is_masked_stays_readable(text: str, shown: str) -> None:
    assert mask(text) == shown


def test_secrets_of_the_environment_are_masked_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct horse")
    assert mask("login failed for ann with correct horse") == "login failed for ann with …"


def test_a_handler_masks_messages_and_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    uri = "postgresql://ann:hunter2@db/ml"
    handler = logging.StreamHandler(stream := __import__("io").StringIO())
    handler.addFilter(MaskSecrets())
    log = logging.getLogger("test_secrets")
    log.addHandler(handler)
    try:
        log.warning("cannot reach %s", uri)
        try:
            raise OSError(uri)
        except OSError:
            log.exception("it failed")
    finally:
        log.removeHandler(handler)
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("postgresql://ann:…@db/ml") == 2
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize(
    "address",
    [
        "s3a://AKIA:SECRETSECRET@bucket/ratings.csv",
        "https://ann:SECRETSECRET@host/a.csv",
        "s3://b/a?X-Amz-Signature=SECRETSECRET",
        "delta:s3a://K:SECRETSECRET@b/t",
    ],
)
def test_a_spec_with_credentials_is_refused_without_repeating_them(address: str) -> None:
    tables = {"kind": "table", "path": address, "format": "csv", "columns": [{"name": "u", "role": "user"}]}
    wrong = (
        (DatasetSpec, {"name": "a", "source": tables}),
        (DatasetSpec, {"name": "a", "source": {"kind": "criteo", "path": address}}),
        (RunSpec, {"dataset": "a", "model": {"kind": "ease"}, "name": address}),
        (ListExportSpec, {"run": "a" * 32, "dataset": "a", "folder": address}),
    )
    for kind, given_ in wrong:
        with pytest.raises(ValueError) as refused:
            kind.model_validate(given_)
        said = explain(refused.value)  # type: ignore[arg-type]
        assert "holds a password or key" in said and "AWS_SECRET_ACCESS_KEY" in said and "spark.hadoop" in said
        assert "SECRETSECRET" not in said
        assert "SECRETSECRET" not in str(refused.value)


def test_the_settings_of_the_environment_may_hold_credentials() -> None:
    uri = f"postgresql://ann:{quote('p@ss')}@db/ml"
    assert Settings.model_validate({"tracking_uri": uri}).store == uri


@pytest.mark.parametrize("part", ["x", "x.", "://", "a://b:c", "?a=", ";password", "https://", "a-b_c", "password", "Bearer "])
def test_a_line_of_any_length_is_read_once(part: str) -> None:
    """Patterns that go back and forth would take hours for these."""
    text = part * 40_000 + "=://"
    assert len(mask(text)) > 0

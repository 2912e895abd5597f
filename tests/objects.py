"""A real server that speaks S3 for tests (moto), in a process of its own on loopback, and the environment that leads to it."""

import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "AKIAEXAMPLEEXAMPLE00", "hush-hush-secret-of-the-tests-00000000"
PLACES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN")
_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class ObjectStore:
    """A running server."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a process to it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def client(self, service: str = "s3", key: str = KEY, secret: str = SECRET) -> Any:
        import boto3

        return boto3.client(
            service, endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret
        )

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{uuid.uuid4().hex[:8]}"
        self.client().create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, key: str, content: "bytes | Path") -> str:
        """Write an object; its URI."""
        body = content.read_bytes() if isinstance(content, Path) else content
        self.client().put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    @contextmanager
    def strict(self) -> Iterator[None]:
        """While the block lasts, the server checks who asks, and what they may."""
        self._authorise(0)
        try:
            yield
        finally:
            self._authorise(1_000_000_000)

    def _authorise(self, after: int) -> None:
        body, kind = str(after).encode(), {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", body, kind, method="POST")).close()


@contextmanager
def running() -> Iterator[ObjectStore]:
    """A server while the block lasts; skips the test where moto is not installed."""
    pytest.importorskip("moto", reason="an object store for tests is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    words, pipe = [sys.executable, "-c", _SERVE], subprocess.PIPE
    server = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)
    assert server.stdin and server.stdout
    try:
        yield ObjectStore(f"http://127.0.0.1:{int(server.stdout.readline())}")
    finally:
        server.stdin.close()
        server.terminate()
        server.wait()


def lead(patch: pytest.MonkeyPatch, store: ObjectStore) -> None:
    """Let this process and its children use the server, and nothing else of S3."""
    for name in PLACES:
        patch.delenv(name, raising=False)
    for name, value in store.environment.items():
        patch.setenv(name, value)

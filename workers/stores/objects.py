"""Objects of S3, Google Cloud Storage and Azure are read like files, with the credentials of the environment; no connector is needed.

pyarrow reads them on the driver and on executors alike. S3 also means servers that speak it: AWS_ENDPOINT_URL names theirs.
"""

import functools
import io
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, NoReturn, TypeVar, cast

from workers.specs import has_credentials, mask

if TYPE_CHECKING:
    import pyarrow.parquet as pq
    from _typeshed import WriteableBuffer
    from pyarrow.fs import FileSystem

T = TypeVar("T")
SERVICES = {"s3": "S3", "s3a": "S3", "gs": "Google Cloud Storage", "abfs": "Azure", "abfss": "Azure"}  # scheme -> who serves it
# Where S3 is: no secrets, so that executors get them by their names. Credentials are theirs to have: a role, a file, variables.
ENDPOINT, REGION = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), ("AWS_REGION", "AWS_DEFAULT_REGION")
PLACES = (*ENDPOINT, *REGION)
HEAD, READ_AHEAD = 1 << 16, 8 << 20  # bytes of one request: a store answers within tens of milliseconds, whatever it is asked for
ANSWER_S, ATTEMPTS = 6.0, 3
ELSEWHERE = re.compile(r"HTTP status 30[17]|PermanentRedirect|AuthorizationHeaderMalformed|configured region")
REFUSED = re.compile(r"(?i)ACCESS_DENIED|HTTP status 40[13]|ACCESS_KEY|SIGNATURE|TOKEN|PERMISSION_DENIED|UNAUTHENTICATED|credential")
SILENT = re.compile(r"(?i)NETWORK_CONNECTION|curl|connect|no answer|UNAVAILABLE|resolve|timed? ?out")
CREDENTIALS = {
    "S3": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the role of this machine, and what they may read",
    "Google Cloud Storage": "check GOOGLE_APPLICATION_CREDENTIALS or the service account of this machine, and what it may read",
    "Azure": "check AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or the identity of this machine, and what it may read",
}


class Address(NamedTuple):
    """Of an object, or of those whose keys begin alike: the account is Azure's; a container is a bucket too."""

    scheme: str
    account: str
    bucket: str
    key: str

    @property
    def path(self) -> str:
        """As pyarrow's file systems have it."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket


def is_stored(place: str) -> bool:
    """Whether a place of a file is in an object store."""
    return place.partition("://")[0].lower() in SERVICES and "://" in place


def address_of(uri: str) -> Address:
    """The parts of a URI. ValueError: it names no bucket, or holds credentials or a NUL byte."""
    if "\0" in uri:
        raise ValueError("The path holds a NUL byte; check it.")
    scheme, _, rest = uri.partition("://")
    scheme, (authority, _, key) = scheme.lower(), rest.partition("/")
    if has_credentials(uri) or ("@" in authority and not scheme.startswith("abfs")):
        raise ValueError(f"{mask(uri)[:300]} holds credentials; write the address without them, and give them by the environment.")
    if scheme.startswith("abfs"):
        bucket, at, host = authority.partition("@")
        if not (bucket and at and host):
            raise ValueError(f"{uri[:300]} is no address of Azure; write {scheme}://container@account.dfs.core.windows.net/folder.")
        return Address(scheme, host.partition(".")[0], bucket, key.strip("/"))
    if not authority:
        raise ValueError(f"{uri[:300]} names no bucket; write {scheme}://bucket/folder.")
    return Address(scheme, "", authority, key.strip("/"))


def system_of(address: Address) -> "FileSystem":
    """pyarrow's file system for an address, made once for each endpoint."""
    return _system("s3" if SERVICES[address.scheme] == "S3" else address.scheme, address.account, _first(ENDPOINT), _first(REGION))


@functools.lru_cache(maxsize=16)
def _system(scheme: str, account: str, endpoint: str, region: str) -> "FileSystem":
    from pyarrow import fs

    if scheme == "gs":
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=3))
    if scheme != "s3":
        key, token = os.environ.get("AZURE_STORAGE_KEY"), os.environ.get("AZURE_STORAGE_SAS_TOKEN")
        return fs.AzureFileSystem(account, account_key=key, sas_token=None if key else token)
    protocol, _, host = endpoint.rpartition("://")
    return fs.S3FileSystem(
        endpoint_override=host.rstrip("/") or None,
        scheme=protocol or "https",
        region=region or None,
        connect_timeout=2,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        tls_ca_file_path=os.environ.get("AWS_CA_BUNDLE"),
    )


def soon(function: Callable[[], T]) -> T:
    """What a function returns, or TimeoutError after 6 s: a server that takes connections and never answers holds pyarrow for minutes."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    worker = threading.Thread(target=work, daemon=True, name="first answer of a store")
    worker.start()
    worker.join(ANSWER_S)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {ANSWER_S:.0f} s")
    return results[0]


def reach(uri: str) -> None:
    """See whether a store answers for the bucket of a URI; who may not ask about the bucket may still read or write in it.

    Raises:
        ValueError, FileNotFoundError: it does not within 6 s, or has no such bucket; says what to do.
    """
    from pyarrow.fs import FileType

    address = address_of(uri)
    try:
        info = soon(lambda: system_of(address).get_file_info(address.bucket))
    except OSError as error:
        if not REFUSED.search(_plain(error)):
            _explain(uri, error)
        return
    if info.type == FileType.NotFound:
        _explain(uri, OSError("NO_SUCH_BUCKET"))


@contextmanager
def explained(place: str) -> Iterator[None]:
    """While the block lasts, what a store refuses becomes a sentence; errors of other files stay as they are."""
    try:
        yield
    except OSError as error:
        if not is_stored(place):
            raise
        _explain(place, error)


def _explain(uri: str, error: OSError) -> NoReturn:
    """ValueError or FileNotFoundError that says what a store refused, and what to do."""
    address, whole, said = address_of(uri), mask(" ".join(str(error).split())), _plain(error)
    service, shown = SERVICES[address.scheme], uri[:300]
    if "NO_SUCH_BUCKET" in said:
        raise FileNotFoundError(f"There is no bucket {address.bucket!r} in {service}{_at(address)}; check {shown}.") from None
    if isinstance(error, FileNotFoundError):
        raise FileNotFoundError(f"There is no object {shown}; check the address.") from None
    if ELSEWHERE.search(said):
        located, chosen = re.search(r"located in '([\w-]+)'", whole), _first(REGION) or "the usual one"
        raise ValueError(
            f"{shown} is in another region than {chosen}; set AWS_REGION to {located[1] if located else 'that of the bucket'}."
        ) from None
    if REFUSED.search(said):
        raise ValueError(f"{service} does not let this user read {shown}; {CREDENTIALS[service]}.") from None
    if SILENT.search(said):
        why = _cause(said)
        raise ValueError(f"{service}{_at(address)} does not answer ({why}); check the address, and whether it can be reached.") from None
    raise ValueError(f"{shown} cannot be read from {service} ({whole[:200]}); check the address and the credentials.") from None


def _plain(error: OSError) -> str:
    """What pyarrow says, without the names of objects, which may be any words."""
    return re.sub(r"'[^']*'", "", " ".join(str(error).split()))


def endpoint() -> str | None:
    """The address of a server that speaks S3, where that is not Amazon's."""
    return _first(ENDPOINT) or None


def _first(names: tuple[str, ...]) -> str:
    """The first of some variables that is set, or nothing."""
    return next((value for name in names if (value := os.environ.get(name))), "")


def _at(address: Address) -> str:
    """Where S3 is, where that is not Amazon's."""
    other = endpoint() if SERVICES[address.scheme] == "S3" else None
    return f" at {mask(other)}" if other else ""


def _cause(said: str) -> str:
    known = {r"resolve": "its name is not known", r"[Cc]ould(?: not|n't) connect|refused": "connection refused"}
    return next((words for pattern, words in known.items() if re.search(pattern, said)), f"no answer within {ANSWER_S:.0f} s")


class StoredFile(io.RawIOBase):
    """An object as a file that can be read from any byte. Errors are sentences: see `explained`."""

    def __init__(self, uri: str) -> None:
        address = address_of(uri)
        self.uri = uri
        with explained(uri):
            self.inner = system_of(address).open_input_file(address.path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with explained(self.uri):
            return cast(int, self.inner.readinto(buffer))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return cast(int, self.inner.seek(offset, whence))

    def tell(self) -> int:
        return cast(int, self.inner.tell())

    def close(self) -> None:
        if not self.closed:
            self.inner.close()
        super().close()


def open_file(place: str, ahead: int = READ_AHEAD) -> IO[bytes]:
    """A file of this machine or an object, as its bytes are; it can be read from any byte.

    Args:
        ahead: bytes that are asked for at a time, at least; few where only the head is read.

    Raises:
        ValueError, FileNotFoundError: the store refuses, or does not answer; says what to do.
    """
    return cast(IO[bytes], io.BufferedReader(StoredFile(place), ahead)) if is_stored(place) else Path(place).open("rb")


@contextmanager
def open_parquet(place: str) -> "Iterator[pq.ParquetFile]":
    """A Parquet file of this machine or of a store: of an object, its footer and the columns that are read are fetched."""
    import pyarrow.parquet as pq

    stored = is_stored(place)
    where, system = ((address := address_of(place)).path, system_of(address)) if stored else (place, None)
    with explained(place), pq.ParquetFile(where, filesystem=system, pre_buffer=stored) as file:
        yield file

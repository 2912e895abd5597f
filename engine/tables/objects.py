"""The objects of a table in a store: which there are, how large, and what identifies their content. Reads lists and heads only."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from workers.stores import address_of, explained, reach, soon, system_of

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo

A = TypeVar("A")
B = TypeVar("B")
AT_ONCE = 16  # requests to a store: each takes tens of milliseconds, whatever it asks for


class ListedFile(NamedTuple):
    """A file of this machine or an object: its path or URI, its size in bytes, and its name below the folder that was listed."""

    place: str
    size: int
    below: str

    @property
    def name(self) -> str:
        return self.place.rpartition("/")[2]


def objects(uri: str) -> list[ListedFile]:
    """The object of a URI, or those whose keys begin with it as with a folder, in any order.

    Raises:
        ValueError, FileNotFoundError: there is none, or the store refuses or does not answer; says what to do.
    """
    from pyarrow.fs import FileSelector, FileType

    address = address_of(uri)
    with explained(uri):
        info = soon(lambda: system_of(address).get_file_info(address.path))
        if info.type == FileType.File:
            return [ListedFile(uri, info.size, "")]
        there = info.type == FileType.Directory
        found = system_of(address).get_file_info(FileSelector(address.path, recursive=True)) if there else []
    if not there:
        reach(uri)
        raise FileNotFoundError(f"There is no object {uri[:300]}; check the address.")
    below = [(one.path.removeprefix(f"{address.path}/"), one.size) for one in found if one.type == FileType.File]
    return [ListedFile(f"{uri.rstrip('/')}/{name}", size, name) for name, size in below]


def identity(one: ListedFile) -> str:
    """What changes when the content of an object does: its size and the ETag of its store, else when it was written.

    Whoever uploads the same bytes in the same way again gets the same ETag; other sizes of parts give another.
    """
    address = address_of(one.place)
    with explained(one.place):
        system = system_of(address)
        with system.open_input_stream(address.path) as stream:
            facts = stream.metadata() or {}
        tag = next((value.decode() for name, value in facts.items() if name.lower() == "etag"), None)
        written: FileInfo | None = None if tag else system.get_file_info(address.path)
    return f"{one.size} {tag or (written and written.mtime_ns)}"


def together(function: Callable[[A], B], values: Iterable[A]) -> list[B]:
    """What a function returns for each value, in their order; several are asked at once, since each answer takes a while."""
    values = list(values)
    if len(values) < 2:
        return [function(value) for value in values]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="store") as pool:
        return list(pool.map(function, values))

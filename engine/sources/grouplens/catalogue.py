"""Films and users of every MovieLens release: titles, genres, years; ages, genders, occupations, regions."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.sources.grouplens.releases import GENRES_100K, OCCUPATIONS_1M, Release

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 1_000_000

Quoting = Literal[0, 1, 2, 3]  # csv.QUOTE_…


def read_items(path: Path, release: Release) -> "pd.DataFrame":
    """item_id, title, genres ("A|B" or None), year (float, nan when unknown)."""
    import pandas as pd

    if release.items == "u.item":
        columns = ["item_id", "title", "released", "video", "url", *GENRES_100K]
        text = pd.concat(_read(path, release, columns, csv.QUOTE_NONE))
        _no_gaps(path, text, ["item_id", "title", GENRES_100K[-1]])
        flags = text[list(GENRES_100K[1:])].eq("1").to_numpy()  # type: ignore[arg-type]  # pandas takes text
        text["genres"] = ["|".join(g for g, on in zip(GENRES_100K[1:], row, strict=True) if on) for row in flags]
        year = text["released"].str.extract(r"(\d{4})$")[0]
    else:
        quoting: Quoting = csv.QUOTE_MINIMAL if release.header else csv.QUOTE_NONE
        text = pd.concat(_titles(path) if release.separator == "::" else _read(path, release, ["item_id", "title", "genres"], quoting))
        _no_gaps(path, text, ["item_id", "title", "genres"])
        year = pd.Series(None, index=text.index, dtype=object)
    text["year"] = pd.to_numeric(text["title"].str.extract(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")[0].fillna(year), errors="coerce")
    text["genres"] = text["genres"].where(~text["genres"].isin(["", "(no genres listed)"]), None)  # type: ignore[call-overload]  # pandas takes None
    return text[["item_id", "title", "genres", "year"]].drop_duplicates("item_id").reset_index(drop=True)


def _titles(path: Path) -> "list[pd.DataFrame]":
    """movies.dat: titles hold single colons, so the whole separator is needed."""
    import pandas as pd

    lines = path.read_text(encoding="latin-1").splitlines()
    rows = {n: line.split("::") for n, line in enumerate(lines, 1) if line.strip()}
    if not rows:
        raise ValueError(f"{path.name} is empty; copy the release again.")
    for n, fields in rows.items():
        if len(fields) != 3:
            raise ValueError(f"{path.name}, line {n}: {len(fields)} fields instead of 3.")
    return [pd.DataFrame.from_dict(rows, orient="index", columns=["item_id", "title", "genres"])]


def read_users(path: Path, release: Release) -> "pd.DataFrame":
    """user_id, age (float), gender, occupation, region (the first character of the zip code), zip."""
    import pandas as pd

    order = (
        ["user_id", "age", "gender", "occupation", "zip"]
        if release.users == "u.user"
        else ["user_id", "gender", "age", "occupation", "zip"]
    )
    text = pd.concat(_read(path, release, order, csv.QUOTE_NONE))
    _no_gaps(path, text, ["user_id", "zip"])
    if release.users == "users.dat":
        names = {str(k): name for k, name in enumerate(OCCUPATIONS_1M)}
        text["occupation"] = text["occupation"].map(names).fillna(text["occupation"])
    text["age"] = pd.to_numeric(text["age"], errors="coerce")
    text["region"] = text["zip"].str[:1].str.upper()
    blank = text[["gender", "occupation", "region"]].eq("")  # type: ignore[arg-type]  # pandas takes text
    text[["gender", "occupation", "region"]] = text[["gender", "occupation", "region"]].mask(blank, None)
    return text[["user_id", "age", "gender", "occupation", "region", "zip"]].drop_duplicates("user_id").reset_index(drop=True)


def _no_gaps(path: Path, text: "pd.DataFrame", columns: list[str]) -> None:
    if text.empty:
        raise ValueError(f"{path.name} holds nothing; copy the release again.")
    short = text[columns].eq("").any(axis=1)  # type: ignore[arg-type]  # pandas takes text
    if short.any():
        raise ValueError(f"{path.name}, line {short.idxmax()}: the line is cut short; copy the release again.")


def _read(path: Path, release: Release, columns: list[str], quoting: Quoting) -> "Iterator[pd.DataFrame]":
    """Chunks of a delimited text file, all columns as text; the index is the line number, a missing field is "".

    An extra field is an error; blank lines are skipped.
    """
    import pandas as pd

    separator = "|" if path.name in ("u.item", "u.user") else release.separator[0]
    # with the one character ":" for "::", which pandas' fast parser does not support, every second field is empty
    names = [n for name in columns for n in (name, f"_{name}")][:-1] if separator == ":" else list(columns)
    try:
        reader = pd.read_csv(
            path, sep=separator, names=[*names, "_extra"], header=None, skiprows=int(release.header), dtype=str,
            keep_default_na=False, na_values=[], quoting=quoting, encoding=release.encoding, skip_blank_lines=False,
            chunksize=CHUNK_ROWS, index_col=False,
        )  # fmt: skip
        for chunk in reader:
            chunk.index = chunk.index + 1 + int(release.header)
            chunk = chunk.fillna("")
            chunk = chunk[chunk.ne("").any(axis=1)]
            extra = chunk["_extra"].ne("")
            if extra.any():
                raise ValueError(f"{path.name}, line {extra.idxmax()}: more than {len(columns)} fields.")
            yield chunk[columns]
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path.name} is empty; copy the release again.") from None
    except pd.errors.ParserError as error:
        raise ValueError(f"{path.name} cannot be read: {str(error).removeprefix('Error tokenizing data. C error: ').strip()}.") from error
    except UnicodeError as error:
        raise ValueError(f"{path.name} is not {release.encoding.removesuffix('-sig').upper()} text: {error}.") from error

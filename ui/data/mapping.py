"""The mapping of a table of one's own: how the file is written, what each column means. Guessed, shown, and changed here."""

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

import pandas as pd
import streamlit as st

import engine
from ui.data import source
from ui.shared import forms, words

ROLES = {
    "user": "user id", "item": "item id", "label": "label (number, or 0/1)", "class": "class (one of several words)",
    "action": "action (view, cart, buy …)", "timestamp": "time", "split": "split (train, valid, test)", "weight": "weight of the row",
    "dense": "number", "category": "category", "tags": "several categories (a|b|c)", "title": "title (shown)", "image": "image (shown)",
    "genres": "genres (shown and read)", "ignore": "not used",
}  # fmt: skip
SHOWN = ("dense", "category", "tags", "ignore")
ROLES_OF = {
    "interactions": tuple(ROLES),
    "users": ("user", *SHOWN),
    "items": ("item", *SHOWN, "title", "image", "genres"),
}
SIDES = ("user", "item", "context")
DELIMITERS = {",": ", comma", ";": "; semicolon", "\t": "tab", "|": "| bar", "::": ":: two colons"}
QUOTING = {"none": '" is a plain character', "quotes": 'values may stand in "…"', "lines": '"…" may hold line breaks'}
UNITS = {
    "s": "seconds since 1970", "ms": "milliseconds since 1970", "us": "microseconds since 1970", "ns": "nanoseconds since 1970",
    "iso": "dates and times (2024-01-31 18:00)", "magnitude": "mixed: told apart value by value", "order": "a count that only orders rows",
}  # fmt: skip
FACTS = ("encoding", "delimiter", "quoting", "header")
MOST_EXAMPLE = 60
Table = Literal["interactions", "users", "items"]
MORE_TABLES: tuple[tuple[Table, str], ...] = (("users", "A table of users"), ("items", "A table of items"))


def choose(key: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The raw fields of a table source, None before it can be read; and the questions that are still open."""
    found, questions, guess = _table(key, "interactions")
    if found is None or guess is None:
        return None, questions
    found["kind"] = source.TABLE
    found |= _reading_controls(key, found, guess, questions)
    for table, title in MORE_TABLES:
        with st.expander(f"{title} (optional)", icon=":material/table_rows:", key=f"{key}.{table}.box"):
            st.caption(
                f"Joined by the {table[:-1]} id; its columns become features" + (", titles and genres." if table == "items" else ".")
            )
            more, asked, _ = _table(f"{key}.{table}", table)
            found[table] = more
            questions += [f"{title}: {question}" for question in asked]
    return found, questions


def place(key: str) -> str:
    """Where the table is: uploaded, or named by its path or URI."""
    source.upload(f"{key}.path", source.UPLOADS[source.TABLE], "Upload a table")
    text = st.text_input(
        "Path or URI",
        key=f"{key}.path",
        placeholder="/data/ratings.csv, a folder, s3://bucket/…, table:catalogue.schema.name, delta:/path",
        help="A file or a folder of files on this machine, under a folder that it may read; a URI or a table that Spark knows",
        max_chars=4096,
        persist_state=forms.KEPT,
    )
    return (text or "").strip()


def _table(key: str, table: Table) -> tuple[dict[str, Any] | None, list[str], Any]:
    """One table from place to mapping: its raw fields, the open questions, and what was guessed."""
    path = st.session_state.get(f"{key}.path", "") if table == "interactions" else place(key)
    if not path:
        return None, [] if table != "interactions" else ["Name a file, or upload one."], None
    given: dict[str, Any] = st.session_state.setdefault(f"{key}.given.{_digest(path)}", {})
    try:
        guess = guessed(path, table, json.dumps(given, sort_keys=True))
    except (ValueError, LookupError, OSError) as error:
        st.error(words.md(error, 600), icon=":material/error:", title="This table cannot be read")
        return None, ["The table cannot be read."], None
    questions = _facts(key, guess, given)
    columns = _editor(key, guess, table)
    with st.expander("First rows as they stand in the file", icon=":material/preview:", key=f"{key}.head"):
        st.dataframe(_head(guess), hide_index=True, height=220, placeholder=words.DASH, alt="The first rows of the file as text")
    written = {name: value for name, value in guess.spec_fields().items() if name not in ("columns", "time_unit", "kind")}
    return written | {"columns": columns}, questions, guess


def _head(guess: Any) -> pd.DataFrame:
    """The first rows as text, cut short; names that would read the same are told apart by their place."""
    shown = [words.plain(column.name, 60) for column in guess.columns]
    names = [name if shown.index(name) == place else f"{name} ({place + 1})" for place, name in enumerate(shown)]
    return pd.DataFrame([[None if cell is None else words.plain(cell, 200) for cell in row] for row in guess.head], columns=names)


@st.cache_data(max_entries=32, ttl=900, show_spinner="Looking at how the table is written …")
def guessed(path: str, table: Table, given: str) -> Any:
    """What the head of a table says; `given` (JSON) is not guessed."""
    return engine.tables.inspect_table(path, table=table, **json.loads(given))


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _facts(key: str, guess: Any, given: dict[str, Any]) -> list[str]:
    """How the file is written, each fact to be changed; what is unsure is asked, without an answer already in it."""
    parts = [guess.format, guess.compression if guess.compression != "none" else "", f"line ends {guess.newline}" if guess.newline else ""]
    parts += [f"{words.count(guess.files)} files" if guess.files > 1 else "", words.size(guess.bytes) if guess.bytes else ""]
    st.caption(" · ".join(words.md(part) for part in parts if part))
    for note in guess.notes:
        st.caption(f":material/info: {words.md(note, 400)}")
    if guess.format != "csv":
        return []
    asked = [fact for fact in guess.unsure if fact in FACTS and fact not in given]
    if asked:
        told = " and ".join(f"{fact} ({_told(fact, getattr(guess, fact))} for now)" for fact in asked)
        st.warning(f"The file does not settle its {words.md(told, 200)}. Please choose below.", icon=":material/help:")
    grid = st.grid(4, min_column_width=190, gap="small", vertical_alignment="bottom")
    for fact in FACTS:
        with grid.cell():
            _fact(f"{key}.{_digest(guess.path)}", fact, getattr(guess, fact), fact in asked, given)
    return [f"Say the {fact} of the file." for fact in asked]


def _fact(key: str, fact: str, value: Any, asked: bool, given: dict[str, Any]) -> None:
    options = {
        "encoding": list(get_args(engine.tables.TableFile.model_fields["encoding"].annotation)),
        "delimiter": list(DELIMITERS),
        "quoting": list(QUOTING),
        "header": [True, False],
    }[fact]
    if value not in options:
        options.append(value)
    name = f"{key}.{fact}"

    def answered() -> None:
        if st.session_state[name] is not None:
            given[fact] = st.session_state[name]

    if fact not in given:  # what a person said stays; the rest follows the guess
        st.session_state[name] = None if asked else value
    elif name not in st.session_state:
        st.session_state[name] = given[fact]
    st.selectbox(
        {"header": "First line"}.get(fact, words.field_label(fact)) + (" · please choose" if asked else ""),
        options,
        format_func=lambda one: _told(fact, one),
        key=name,
        placeholder="choose",
        help=engine.tables.TableFile.model_fields[fact].description,
        accept_new_options=fact == "delimiter",
        on_change=answered,
    )


def _told(fact: str, value: Any) -> str:
    if fact == "header":
        return "names the columns" if value else "is data"
    return {"delimiter": DELIMITERS, "quoting": QUOTING}.get(fact, {}).get(value, words.plain(value, 20))


def _editor(key: str, guess: Any, table: str) -> list[dict[str, str]]:
    """The mapping as an editable table, a row a column; what was changed is kept while the file is written the same way."""
    names = [column.name for column in guess.columns]
    digest = _digest(guess.path, names, table)
    kept: dict[str, dict[str, str]] = st.session_state.setdefault(f"{key}.mapping.{digest}", {})
    widget, start = f"{key}.editor.{digest}", f"{key}.start.{digest}"
    if widget not in st.session_state or start not in st.session_state:  # after a look at another page it starts from what was kept
        st.session_state[start] = frame(guess, kept)
    edited = st.data_editor(
        st.session_state[start],
        key=widget,
        hide_index=True,
        disabled=["Column", "Examples", "Looks like", "Why"],
        column_order=[name for name in st.session_state[start] if table == "interactions" or name != "Side"],
        height="auto" if len(names) <= 14 else 520,
        row_height=34,
        column_config=_columns(table),
        alt="What each column means; role, side and separator can be changed",
    )
    found = columns_of(edited, names)
    kept.update({column["name"]: column for column in found})
    unsure = [column.name for column in guess.columns if not column.certain]
    if unsure:
        shown = ", ".join(words.md(name, 40) for name in unsure[:6]) + (" …" if len(unsure) > 6 else "")
        st.caption(f":material/help: Guessed without being sure, please look at: {shown}.")
    return found


def _role(name: Any) -> str:
    return ROLES[str(name)]


def _columns(table: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "Column": config.TextColumn(pinned=True, width="medium"),
        "Role": config.SelectboxColumn(
            options=list(ROLES_OF[table]), required=True, width="medium", format_func=_role, help="What the column is read as"
        ),
        "Side": config.SelectboxColumn(
            options=list(SIDES), required=True, width="small", help="What a feature describes: the user, the item, or the moment (context)"
        ),
        "Looks like": config.TextColumn(width="small", help="The type of the first values"),
        "Examples": config.TextColumn(width="medium"),
        "Separator": config.TextColumn(
            width=105, required=True, max_chars=3, help="What stands between the values of several categories or genres"
        ),
        "Why": config.TextColumn("Why so", width="large", help="What the guess rests on; a question mark: it is not sure"),
    }


def frame(guess: Any, kept: dict[str, dict[str, str]]) -> pd.DataFrame:
    """What is guessed of each column, with what a person changed before."""
    rows = []
    for column in guess.columns:
        mine = kept.get(column.name, {})
        rows.append(
            {
                "Column": words.plain(column.name, 80),
                "Role": mine.get("role", column.role),
                "Side": mine.get("side", column.side),
                "Looks like": column.type,
                "Examples": ", ".join(words.plain(text, MOST_EXAMPLE) for text in column.examples[:3]),
                "Separator": mine.get("separator", column.separator),
                "Why": ("" if column.certain else "? ") + words.plain(column.why, 120),
            }
        )
    return pd.DataFrame(rows)


def columns_of(edited: pd.DataFrame, names: list[str]) -> list[dict[str, str]]:
    """The edited table as column roles, in the order of the file. Names come from the file, not from what is shown of them."""
    return [
        {"name": name, "role": row["Role"], "side": row["Side"], "separator": row["Separator"] or "|"}
        for name, row in zip(names, edited.to_dict("records"), strict=True)
    ]


def _reading_controls(key: str, found: dict[str, Any], guess: Any, questions: list[str]) -> dict[str, Any]:
    """The unit of the times, asked where the values leave it open, and the range of the labels."""
    raw: dict[str, Any] = {}
    timed = [column["name"] for column in found["columns"] if column["role"] == "timestamp"]
    rated = any(column["role"] == "label" for column in found["columns"])
    warned = st.container()
    grid = st.grid(3, min_column_width=230, gap="small", vertical_alignment="bottom")
    if timed:
        with grid.cell():
            raw["time_unit"] = _unit(key, next(column for column in guess.columns if column.name == timed[0]), warned, questions)
    if rated:
        for name, told in (("low", "Labels below this are set aside"), ("high", "Labels above this are set aside")):
            with grid.cell():
                label = "Lowest label" if name == "low" else "Highest label"
                start: float | None = None
                raw[name] = st.number_input(
                    label, value=start, format="%g", key=f"{key}.{name}", placeholder="any", help=told, persist_state=forms.KEPT
                )
    return raw


def _unit(key: str, column: Any, warned: Any, questions: list[str]) -> str | None:
    open_ = column.ambiguous is not None or column.time_unit is None
    text = ""
    if open_:
        text = column.ambiguous or f"What unit do the times in {column.name} have?"
    units = list(UNITS)
    chosen = st.selectbox(
        "Unit of the times" + (" · please choose" if open_ else ""),
        units,
        None if open_ else units.index(column.time_unit),
        format_func=UNITS.__getitem__,
        key=f"{key}.unit.{_digest(column.name, column.time_unit, column.ambiguous)}",
        placeholder="choose",
        persist_state=forms.KEPT,
    )
    if text and chosen:
        warned.caption(f":material/help: {words.md(text, 400)}")
    if chosen is None:
        warned.warning(words.md(text, 400), icon=":material/help:")
        questions.append(f"Say what unit the times in {words.plain(column.name, 40)} have.")
    return chosen


def named(path: str) -> str:
    """A short name for a dataset from a file's name: lower-case letters, digits, dashes."""
    stem = PurePosixPath(path.replace("\\", "/")).name.split(".")[0].lower()
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem)
    return "-".join(part for part in plain.split("-") if part)[:40].strip("-") or "table"

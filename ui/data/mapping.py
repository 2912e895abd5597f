"""The mapping of the user's own table: its file format and the meaning of each column. Both are guessed, and can be changed here."""

import hashlib
import json
from typing import Any, Literal, get_args

import pandas as pd
import streamlit as st

import engine
from engine.tables import Answer, TableGuess
from ui.data import ids, source, times, values
from ui.data.questions import Asked
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
DELIMITERS = {",": ", comma", ";": "; semicolon", "\t": "tab", "|": "| bar", "::": ":: two colons", " ": "blanks (spaces, tabs)"}
QUOTING = {"none": '" is a plain character', "quotes": 'values may be in "…"', "lines": '"…" may contain line breaks'}
ESCAPE = {"none": "\\ is a plain character", "backslash": r"\" and \N are escapes"}
FACTS = ("encoding", "delimiter", "quoting", "escape", "header")
MOST_EXAMPLE = 60
Table = Literal["interactions", "users", "items"]
MORE_TABLES: tuple[tuple[Table, str], ...] = (("users", "A table of users"), ("items", "A table of items"))


def choose(key: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The raw fields of a table source, None before it can be read; and the questions that are still open."""
    fields, questions, guess = _table(key, "interactions")
    if fields is None or guess is None:
        return None, questions
    key = f"{key}.{digest(guess.path)}"  # answers about one table are none about another, nor are its users and items
    fields["kind"] = source.TABLE
    fields |= _reading_controls(key, fields, guess, questions)
    tables: list[tuple[TableGuess | None, list[dict[str, Any]]]] = [(guess, fields["columns"])]
    for table, title in MORE_TABLES:
        with st.expander(f"{title} (optional)", icon=":material/table_rows:", key=f"{key}.{table}.box"):
            more_of = ", titles and genres" if table == "items" else ""
            st.caption(f"Joined by the {table[:-1]} id; its columns become features{more_of}.")
            more, open_questions, other = _table(f"{key}.{table}", table)
            fields[table] = more
            tables.append((other, more["columns"] if more else []))
            questions += [f"{title}: {question}" for question in open_questions]
    fields["whole_ids"] = ids.whole_ids(key, tables)
    return fields, questions


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


def _table(key: str, table: Table) -> tuple[dict[str, Any] | None, list[str], TableGuess | None]:
    """One table from path to mapping: its raw fields, the open questions, and the guess."""
    path = st.session_state.get(f"{key}.path", "") if table == "interactions" else place(key)
    if not path:
        return None, [] if table != "interactions" else ["Name a file, or upload one."], None
    given: dict[str, Any] = st.session_state.setdefault(f"{key}.given.{digest(path)}", {})
    try:
        guess = guessed(path, table, json.dumps(given, sort_keys=True))
    except (ValueError, LookupError, OSError) as error:
        st.error(words.md(error, 600), icon=":material/error:", title="This table cannot be read")
        return None, ["The table cannot be read."], None
    questions = _facts(key, guess, given)
    asked = Asked(f"{key}.{digest(path, given)}", st.container())
    settled = asked.settled(guess)
    columns, by_hand = _editor(key, settled, table)
    last = settled.last_questions({column["name"]: column["role"] for column in columns}, by_hand)
    questions += asked.show((*guess.questions, *last), by_hand)
    columns = values.choose(f"{key}.{digest(guess.path)}.values", settled, columns, questions)
    with st.expander("First rows of the file", icon=":material/preview:", key=f"{key}.head"):
        st.dataframe(_head(guess), hide_index=True, height=220, placeholder=words.DASH, alt="The first rows of the file as text")
    written = {name: value for name, value in guess.file_fields().items() if name != "columns"} | {"columns": columns}
    return written | _label_range(guess, columns, [asked.answer(question) for question in last]), questions, settled


def _label_range(guess: TableGuess, columns: list[dict[str, Any]], answers: list[Answer | None]) -> dict[str, float | None]:
    """Where the labels of the interactions begin and end: as answered, or where the label is 0 or 1."""
    labels = [column["name"] for column in columns if column["role"] == "label"]
    if guess.table != "interactions" or len(labels) != 1:
        return {}
    low, high = next(column for column in guess.columns if column.name == labels[0]).binary or (None, None)
    for answer in answers:
        low, high = (answer.low, answer.high) if answer and (answer.low, answer.high) != (None, None) else (low, high)
    return {"low": low, "high": high}


def _head(guess: TableGuess) -> pd.DataFrame:
    """The first rows as text, cut short; names that look the same get their position added."""
    shown = [words.plain(column.name, 60) for column in guess.columns]
    names = [name if shown.index(name) == place else f"{name} ({place + 1})" for place, name in enumerate(shown)]
    return pd.DataFrame([[None if cell is None else words.plain(cell, 200) for cell in row] for row in guess.head], columns=names)


@st.cache_data(max_entries=32, ttl=900, show_spinner="Detecting the format of the table …")
def guessed(path: str, table: Table, given: str) -> TableGuess:
    """The guess from the head of a table; what `given` (JSON) states is not guessed."""
    return engine.tables.inspect_table(path, table=table, **json.loads(given))


def digest(*parts: object) -> str:
    """A short name for some values, such as the path of a table."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _facts(key: str, guess: TableGuess, given: dict[str, Any]) -> list[str]:
    """Controls for the file format. An uncertain fact is left empty, so that the user has to choose; returns the open questions."""
    parts = [guess.format, guess.compression if guess.compression != "none" else "", f"line ends {guess.newline}" if guess.newline else ""]
    parts += [f"{words.count(guess.files)} files" if guess.files > 1 else "", words.size(guess.bytes) if guess.bytes else ""]
    st.caption(" · ".join(words.md(part) for part in parts if part))
    for note in guess.notes:
        st.caption(f":material/info: {words.md(note, 400)}")
    if guess.format != "csv":
        return []
    uncertain = [fact for fact in guess.unsure if fact in FACTS and fact not in given]
    if uncertain:
        assumed = " and ".join(f"{fact} ({_option(fact, getattr(guess, fact))} for now)" for fact in uncertain)
        st.warning(f"The content does not determine its {words.md(assumed, 200)}. Please choose below.", icon=":material/help:")
    grid = st.grid(5, min_column_width=190, gap="small", vertical_alignment="bottom")
    for fact in FACTS:
        with grid.cell():
            _fact(f"{key}.{digest(guess.path)}", fact, getattr(guess, fact), fact in uncertain, given)
    return [f"Choose the {fact} of the file." for fact in uncertain]


def _fact(key: str, fact: str, value: str | bool, uncertain: bool, given: dict[str, Any]) -> None:
    options: list[str | bool] = {
        "encoding": list(get_args(engine.tables.TableFile.model_fields["encoding"].annotation)),
        "delimiter": list(DELIMITERS),
        "quoting": list(QUOTING),
        "escape": list(ESCAPE),
        "header": [True, False],
    }[fact]
    if value not in options:
        options.append(value)
    name = f"{key}.{fact}"

    def answered() -> None:
        if st.session_state[name] is not None:
            given[fact] = st.session_state[name]

    if fact not in given:  # an answer of the user stays; the rest follows the guess
        st.session_state[name] = None if uncertain else value
    elif name not in st.session_state:
        st.session_state[name] = given[fact]
    st.selectbox(
        {"header": "First line", "escape": "Backslash"}.get(fact, words.field_label(fact)) + (" · please choose" if uncertain else ""),
        options,
        format_func=lambda one: _option(fact, one),
        key=name,
        placeholder="choose",
        help=engine.tables.TableFile.model_fields[fact].description,
        accept_new_options=fact == "delimiter",
        on_change=answered,
    )


def _option(fact: str, value: str | bool) -> str:
    """The value of a fact in words."""
    if fact == "header":
        return "names the columns" if value else "is data"
    return {"delimiter": DELIMITERS, "quoting": QUOTING, "escape": ESCAPE}.get(fact, {}).get(str(value), words.plain(value, 20))


def _editor(key: str, guess: TableGuess, table: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The mapping as an editable table with one row per column, and the columns whose role was changed there.

    Changes are kept until the guessed columns change.
    """
    names = [column.name for column in guess.columns]
    of = digest(guess.path, names, table)
    changes: dict[str, dict[str, Any]] = st.session_state.setdefault(f"{key}.mapping.{of}", {})
    guessed_ = frame(guess, {})
    drawn = digest(of, columns_of(guessed_, names), guessed_["Why"].tolist())
    widget, start = f"{key}.editor.{drawn}", f"{key}.start.{drawn}"
    if widget not in st.session_state or start not in st.session_state:  # after a visit to another page it starts from the earlier changes
        st.session_state[start] = frame(guess, changes)
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
    columns = columns_of(edited, names)
    changes.clear()  # what is as guessed is nobody's choice: it follows the next guess
    changes.update({mine["name"]: mine for mine, theirs in zip(columns, columns_of(guessed_, names), strict=True) if mine != theirs})
    asked = {name for question in guess.questions for name in question.columns}
    unsure = [column.name for column in guess.columns if not column.certain and column.name not in asked]
    if unsure:
        shown = ", ".join(words.md(name, 40) for name in unsure[:6]) + (" …" if len(unsure) > 6 else "")
        st.caption(f":material/help: Uncertain guesses, please check: {shown}.")
    return columns, [column.name for column in guess.columns if changes.get(column.name, {}).get("role", column.role) != column.role]


def _role(name: object) -> str:
    return ROLES[str(name)]


def _columns(table: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "Column": config.TextColumn(pinned=True, width="medium"),
        "Role": config.SelectboxColumn(
            options=list(ROLES_OF[table]), required=True, width="medium", format_func=_role, help="How the column is used"
        ),
        "Side": config.SelectboxColumn(
            options=list(SIDES), required=True, width="small", help="What a feature describes: the user, the item, or the moment (context)"
        ),
        "Looks like": config.TextColumn(width="small", help="The type of the first values"),
        "Examples": config.TextColumn(width="medium"),
        "Separator": config.TextColumn(
            width=105, required=True, max_chars=3, help="The separator between several categories or genres in one value"
        ),
        "Why": config.TextColumn("Reason", width="large", help="The reason for the guess; a question mark marks an uncertain one"),
    }


def frame(guess: TableGuess, changes: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The guess for each column, with the user's earlier changes."""
    rows = []
    for column in guess.columns:
        mine = changes.get(column.name, {})
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


def columns_of(edited: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """The edited table as column roles, in the order of the file. Names come from the file: those shown may be cut short."""
    return [
        {"name": name, "role": row["Role"], "side": row["Side"], "separator": row["Separator"] or "|"}
        for name, row in zip(names, edited.to_dict("records"), strict=True)
    ]


def _reading_controls(key: str, fields: dict[str, Any], guess: TableGuess, questions: list[str]) -> dict[str, Any]:
    """The unit of the times, a question where the values leave it open, and the range of the labels."""
    raw: dict[str, Any] = {}
    timed = [column["name"] for column in fields["columns"] if column["role"] == "timestamp"]
    rated = any(column["role"] == "label" for column in fields["columns"])
    warned = st.container()
    grid = st.grid(3, min_column_width=230, gap="small", vertical_alignment="bottom")
    if timed:
        with grid.cell():
            timed_by = next(column for column in guess.columns if column.name == timed[0])
            own = digest(timed_by.name, timed_by.time_unit, timed_by.ambiguous)
            raw["time_unit"] = times.unit(f"{key}.unit.{own}", timed_by, warned, questions)
    else:
        with grid.cell():
            raw["time_unit"] = times.of_lines(f"{key}.lines")
    if rated:
        for name, tooltip in (("low", "Labels below this are set aside"), ("high", "Labels above this are set aside")):
            with grid.cell():
                label = "Lowest label" if name == "low" else "Highest label"
                start = fields.get(name)
                widget = f"{key}.{name}" if start is None else f"{key}.{name}.{start:g}"
                if widget not in st.session_state:  # a widget with a default returns to it when emptied
                    st.session_state[widget] = start
                raw[name] = st.number_input(
                    label, value=None, format="%g", key=widget, placeholder="any", help=tooltip, persist_state=forms.KEPT
                )
    return raw

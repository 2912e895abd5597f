"""Names and aliases of registered models, as MLflow takes them."""

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .-]{0,99}")
ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
TAKEN = re.compile(r"latest|v[0-9]+", re.IGNORECASE)  # MLflow's own words


def default_name(dataset_name: str) -> str:
    """A name for models of a dataset: the dataset's own, so that versions of all kinds follow one another under it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", dataset_name).strip("-.")[:100] or "recommender"


def check_name(name: str) -> str:
    """The name, or ValueError with what it may be."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is no name of a model; use up to 100 letters, digits, dots, dashes, underscores and spaces.")
    return name


def check_alias(alias: str) -> str:
    """The alias, or ValueError with what it may be."""
    if not ALIAS.fullmatch(alias) or TAKEN.fullmatch(alias):
        rule = "a letter, then letters, digits, dashes and underscores; neither latest nor v1"
        raise ValueError(f"{alias[:80]!r} is no alias; use a word such as champion: {rule}.")
    return alias

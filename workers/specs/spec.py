"""The base of all specs: a frozen pydantic model that checks, explains and serialises itself."""

import json
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.config import JsonDict

from workers.specs.secrets import mask, refuse_credentials

MORE: JsonDict = {"group": "more"}
TUNED: JsonDict = {"empty": "tuned"}  # the meaning of an empty field in a form, where that is not "none"


class Spec(BaseModel):
    """A frozen, closed set of settings: an unknown key, NaN or infinity is an error, and so are credentials, since specs are stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)
    may_hold_credentials: ClassVar[bool] = False  # for settings that are never stored

    @model_validator(mode="before")
    @classmethod
    def _without_credentials(cls, value: object) -> object:
        if not cls.may_hold_credentials:
            refuse_credentials(value)
        return value

    @classmethod
    def read(cls, path: Path) -> Self:
        """Load a spec from a JSON file; raises ValueError with a field-level message."""
        try:
            return cls.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is not a readable JSON spec: {error}") from error
        except ValidationError as error:
            raise ValueError(f"{path}: {explain(error)}") from error


def explain(error: ValidationError) -> str:
    """One plain sentence per field: its name, its value, and what is wrong with it."""
    sentences = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"]) or "spec"
        if fault["type"] == "extra_forbidden":
            sentences.append(f"{where} is not a known setting; remove it or check its spelling.")
        elif fault["type"] == "missing":
            sentences.append(f"{where} is missing; give it a value.")
        elif fault["type"] == "value_error":
            message = fault["msg"].removeprefix("Value error, ")
            sentences.append(message if where == "spec" else f"{where}: {message}")
        else:
            given = mask(repr(fault["input"]))
            sentences.append(f"{where} is {given[:80]}: {fault['msg'][0].lower()}{fault['msg'][1:]}.")
    return mask(" ".join(sentences))

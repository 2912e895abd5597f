"""A registered model as MLflow loads it, as a script ("models from code"): nothing of it is pickled.

MLflow copies it to the model, where there is no engine. Columns and parameters are those of the model's signature (`mlflow_folder`).
What cannot be answered is a 400 with a sentence.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

PACKAGE = "package"  # the artifact with the model's folder


class RegisteredModel(PythonModel):  # type: ignore[misc]
    """One row a person: `user_id`, or `liked`; and `candidates`."""

    def load_context(self, context: PythonModelContext) -> None:
        from workers.registry import ServedModel

        self.served = ServedModel.open(Path(context.artifacts[PACKAGE]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row for each row: items (item_id, title, score; best first), known_user, left_out."""
        rows = [self._answer({str(name): value for name, value in row.items()}, params or {}) for row in model_input.to_dict("records")]
        return pd.DataFrame(rows, columns=["items", "known_user", "left_out"])

    def _answer(self, row: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        from pydantic import ValidationError

        from workers.registry import Query
        from workers.specs import explain

        given = {name: row[name] for name in ("liked", "candidates") if isinstance(row.get(name), list | np.ndarray)}
        user = row.get("user_id")  # MLflow fills in NaN where a row has none
        try:
            query = Query.model_validate(
                {name: [str(item) for item in value] for name, value in given.items()}
                | {"user_id": str(user) if isinstance(user, str) else None}
                | {name: params[name] for name in ("k", "exclude_seen") if name in params}
                | {"only": {"genres": list(params.get("genres", ())), "least_likes": params.get("least_likes", 0)}}
            )
            if query.user_id is None and "liked" not in given:
                raise ValueError("Neither user_id nor liked is given: give the id of a user, or the likes of somebody new (none: []).")
            return self.served.answer(query).model_dump()
        except ValidationError as error:
            raise MlflowException.invalid_parameter_value(explain(error)) from None
        except (ValueError, LookupError) as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


set_model(RegisteredModel())

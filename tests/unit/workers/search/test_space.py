"""Which settings of a run are searched, and what that makes of its title."""

import pytest

from workers.run import RunSpec


@pytest.mark.parametrize(
    ("space", "title"),
    [
        (None, "Two-tower · softmax · tuned"),
        ({"model.history_dropout": {"low": 0, "high": 0.9}}, "Two-tower · softmax · history · dim 64 · tuned"),
        ({"model.history": {"choices": [True, False]}}, "Two-tower · softmax · dim 64 · tuned"),
        ({"model.layers": {"choices": [1, 2]}}, "Two-tower · softmax · history · dim 64 · tuned"),  # a search refuses it where it begins
    ],
)
def test_the_title_of_a_searched_network_names_no_setting_that_is_searched(space: object, title: str) -> None:
    spec = {"dataset": "d", "model": {"kind": "two_tower"}, "search": {"space": space}}
    assert RunSpec.model_validate(spec).title == title
    assert RunSpec.model_validate({**spec, "name": "mine"}).title == "mine"

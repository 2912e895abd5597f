"""A gate's exit codes are answers, so that a wrong command line is not."""

import pytest

from engine.cli import main


@pytest.mark.parametrize("words", [("--tolerance", "much"), ("--nonsense",), ()])
def test_a_wrong_command_line_is_no_answer(words: tuple[str, ...]) -> None:
    """2 says that nothing can be told, and a pipeline may go on."""
    with pytest.raises(SystemExit) as ended:
        main(["gate", "a", *(("--against", "b") if words else ()), *words])
    assert ended.value.code == 3
    with pytest.raises(SystemExit) as ended:
        main(["runs", "--nonsense"])
    assert ended.value.code == 2

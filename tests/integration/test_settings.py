"""Variables of the environment that cannot be used are refused with a sentence, on the command line and by the pages."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.settings import Settings, SettingsError, settings
from tests.commands import recbench
from tests.pages.reading import plainly

ROOT = Path(__file__).resolve().parents[2]
WRONG = [
    ("WORKSPACE", "s3://me:hunter2@bucket/ws", "RECBENCH_WORKSPACE is s3://me:…@bucket/ws, which is no folder; give a folder"),
    ("WORKSPACE", "/proc/none", "The workspace /proc/none cannot be made (No such file or directory); set RECBENCH_WORKSPACE to one"),
    ("CONCURRENT_RUNS", "many", "RECBENCH_CONCURRENT_RUNS is 'many': input should be a valid integer"),
]


@pytest.mark.parametrize("name, value, says", WRONG)
def test_a_wrong_variable_is_a_sentence(name: str, value: str, says: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"RECBENCH_{name}", value)
    with pytest.raises(SettingsError) as refused:
        settings()
    told = recbench("runs", fails=True)["error"]
    at = AppTest.from_file(str(ROOT / "ui" / "app.py"), default_timeout=60).run()
    assert not at.exception
    for said in (str(refused.value), told, plainly(at.error[0].value)):
        assert says in said and "hunter2" not in said and "pydantic" not in said
    assert not Path("s3:").exists()


def test_a_file_uri_is_the_folder_that_it_names() -> None:
    assert Settings.model_validate({"workspace": "file:///srv/a%20b"}).workspace == Path("/srv/a b")

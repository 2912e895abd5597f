"""The bundle of the Databricks App, held against the records of Databricks' own SDK. Nothing here runs on Databricks."""

import inspect
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk.service.apps import App
from databricks.sdk.service.catalog import VolumesAPI, VolumeType
from pydantic import ValidationError

from engine import compute
from engine.cli.commands import _parser
from engine.runs import opened
from engine.settings import Settings


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compute.write_databricks_bundle(tmp_path_factory.mktemp("bundle"), "main.ml.recbench")


@pytest.fixture
def declared(bundle: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((bundle / "databricks.yml").read_text())
    return read


def test_the_app_has_no_field_and_no_value_that_the_api_does_not_know(declared: dict[str, Any], bundle: Path) -> None:
    (app,) = declared["resources"]["apps"].values()
    assert App.from_dict(app).as_dict() == app, "the SDK drops what it does not know"
    assert (bundle / app["source_code_path"] / "app.yaml").is_file()


def test_the_volume_is_one_that_the_api_takes_and_the_app_may_write_to(declared: dict[str, Any]) -> None:
    (volume,) = declared["resources"]["volumes"].values()
    assert set(volume) <= set(inspect.signature(VolumesAPI.create).parameters)
    assert volume["volume_type"] in VolumeType.__members__
    (app,) = declared["resources"]["apps"].values()
    (resource,) = app["resources"]
    whole = f"{volume['catalog_name']}.{volume['schema_name']}.{volume['name']}"
    assert (resource["uc_securable"]["securable_full_name"], resource["uc_securable"]["permission"]) == (whole, "WRITE_VOLUME")


def test_its_command_is_one_of_ours_and_its_variables_are_settings(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = yaml.safe_load((bundle / "app" / "app.yaml").read_text())
    assert set(app) == {"command", "env"}, "docs.databricks.com/aws/en/dev-tools/databricks-apps/app-runtime: supported settings"
    program, *words = (word.replace("$DATABRICKS_APP_PORT", "8000") for word in app["command"])
    project = tomllib.loads((bundle / "app" / "pyproject.toml").read_text())
    assert program in project["project"]["scripts"]
    args = _parser().parse_args(words)
    assert (args.host, args.port) == ("0.0.0.0", 8000)
    given = {variable["name"].removeprefix("RECBENCH_").lower(): variable["value"] for variable in app["env"]}
    settings = Settings.model_validate(given)
    assert (settings.store, settings.artifacts) == ("databricks", "dbfs:/Volumes/main/ml/recbench")


def test_the_app_is_the_whole_code_without_the_tools_of_development(bundle: Path) -> None:
    from engine.compute.code import PROJECT

    code = {path.relative_to(PROJECT) for name in ("ui", "engine", "workers") for path in (PROJECT / name).rglob("*.py")}
    assert all((bundle / "app" / path).is_file() for path in code)
    assert tomllib.loads((bundle / "app" / "pyproject.toml").read_text())["tool"]["uv"]["default-groups"] == ["cpu"]
    assert not (bundle / "app" / "requirements.txt").exists(), "it would win over pyproject.toml and uv.lock"
    assert max(path.stat().st_size for path in (bundle / "app").rglob("*") if path.is_file()) < 10e6, "Databricks takes no larger file"


def test_what_is_no_volume_and_what_is_there_is_refused(bundle: Path, tmp_path: Path) -> None:
    for name in ("main.ml", "main.ml.rec bench", "a.b.c\nx: y", "../a.b.c"):
        with pytest.raises(ValueError, match=r"give catalog\.schema\.name"):
            compute.write_databricks_bundle(tmp_path / "new", name)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="is not empty"):
        compute.write_databricks_bundle(bundle, "main.ml.recbench")


def test_experiments_have_whole_paths_on_databricks_alone() -> None:
    names = opened._names(Settings.model_validate({"tracking_uri": "databricks"}))
    assert names["train"] == "/Shared/recommender-workbench-trainings"
    assert opened._names(Settings.model_validate({"tracking_uri": "https://mlflow.example.com"})) == opened.EXPERIMENTS


def test_a_volume_is_read_from_and_is_no_workspace() -> None:
    assert Path("/Volumes") in Settings().readable
    with pytest.raises(ValidationError, match=r"RECBENCH_ARTIFACT_ROOT=dbfs:/Volumes/main/ml/recbench"):
        Settings.model_validate({"workspace": "/Volumes/main/ml/recbench"})

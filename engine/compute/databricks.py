"""The workbench as a Databricks App: a bundle that `databricks bundle deploy` takes. Nothing of it was run on Databricks.

Formats: docs.databricks.com/aws/en/dev-tools/databricks-apps/app-runtime (app.yaml) and …/dev-tools/bundles/resources (databricks.yml).
"""

import re
import shutil
from pathlib import Path

from engine.compute.code import PROJECT

CODE = ("ui", "engine", "workers", ".streamlit")
VOLUME = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*\.[A-Za-z_]\w*")
BUNDLE = """\
# databricks bundle deploy && databricks bundle run workbench
bundle:
  name: recommender-workbench
resources:
  volumes:
    artifacts:
      catalog_name: {catalog}
      schema_name: {schema}
      name: {name}
      volume_type: MANAGED
  apps:
    workbench:
      name: recommender-workbench
      description: Choose a recommender model
      source_code_path: ./app
      compute_size: LARGE
      resources:
        - name: artifacts
          uc_securable:
            securable_full_name: {volume}
            securable_type: VOLUME
            permission: WRITE_VOLUME
targets:
  dev:
    mode: development
    default: true
"""
APP = """\
# $DATABRICKS_APP_PORT is replaced when the app starts. Databricks lets in only people who may use the app, through a proxy.
command: ["recbench", "ui", "--host", "0.0.0.0", "--port", "$DATABRICKS_APP_PORT"]
env:
  - name: RECBENCH_WORKSPACE
    value: workspace
  - name: RECBENCH_TRACKING_URI
    value: databricks
  - name: RECBENCH_ARTIFACT_ROOT
    value: dbfs:/Volumes/{path}
"""


def write_databricks_bundle(folder: Path, volume: str) -> Path:
    """Write databricks.yml and the app's folder: app.yaml, the code, and its pyproject.toml without the tools of development.

    Args:
        folder: a new or empty one.
        volume: the Unity Catalog volume that holds the artifacts of runs, as catalog.schema.name.

    Raises:
        ValueError: the volume is no such name, the folder is not empty, or this is no checkout, whose pyproject.toml the app needs.
    """
    if not VOLUME.fullmatch(volume):
        raise ValueError(f"{volume[:200]!r} is no name of a volume; give catalog.schema.name, in letters, digits and underscores.")
    if not (PROJECT / "pyproject.toml").is_file():
        raise ValueError("An app is installed from pyproject.toml, which an installed wheel has not; run this in a checkout.")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; give a new folder.")
    app = folder / "app"
    app.mkdir(parents=True)
    for name in CODE:
        shutil.copytree(PROJECT / name, app / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(PROJECT / "README.md", app)
    project = (
        (PROJECT / "pyproject.toml").read_text(encoding="utf-8").replace('default-groups = ["dev", "cpu"]', 'default-groups = ["cpu"]')
    )
    (app / "pyproject.toml").write_text(project, encoding="utf-8")
    (app / "app.yaml").write_text(APP.format(path=volume.replace(".", "/")), encoding="utf-8")
    catalog, schema, name = volume.split(".")
    (folder / "databricks.yml").write_text(BUNDLE.format(catalog=catalog, schema=schema, name=name, volume=volume), encoding="utf-8")
    return folder

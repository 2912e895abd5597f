"""An export of lists on the executors of a cluster: users in parts, each Python worker opens the model once from the shared workspace."""

from functools import partial
from pathlib import Path

from engine.driver.launching import as_job
from workers.artifacts import PreparedDataset
from workers.exports import ListExportSpec
from workers.run import Journal, RunContext
from workers.run.attempts import Attempt


def spread_export(run_dir: Path, dataset: Path, spec: ListExportSpec, attempt: Attempt, journal: Journal) -> int:
    """Write the lists and done.json, as `workers.exports.export` does in one process.

    Returns:
        0.
    """
    from engine.spark import session
    from workers.exports import export, spread

    context = RunContext(run_dir, PreparedDataset.open(dataset), spec, journal, attempt.number)
    journal.progress("starting Spark", 0, 1, force=True)
    spark = session(f"recbench export {spec.title}")
    journal.event("spark up")

    def write(folder: Path) -> dict[str, int]:
        number = spread.deal(context)
        parts: list[spread.Part] = []

        def make() -> None:
            work = partial(spread.make_part, str(run_dir), str(dataset))
            parts.extend(spark.sparkContext.parallelize(range(number), max(1, number)).map(work).collect())

        def report_progress() -> None:
            journal.progress("writing lists", len(list(spread.scratch(run_dir).glob(spread.LISTS))), max(1, number))

        as_job(spark, run_dir.name, spec.title, make, report_progress)
        return spread.join(context, parts, folder)

    context.finish(export.export(context, write))
    return 0

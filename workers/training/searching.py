"""A search by ranks: one setting after another is trained, in the same processes, and the best on validation becomes the run's model.

Rank 0 owns the study and says what is tried; all ranks train it.
"""

import gc
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch.distributed as dist

from workers.artifacts import CHECKPOINT, METRICS, RESULTS, TUNING, checkpoint, patient, write_json
from workers.evaluation import at_edge
from workers.run import RESUMED, Journal, RunContext, RunSpec, attempts
from workers.search import Ended, Study, Trial, first_settings, listed, space_of, trial_folder, with_settings
from workers.training.feed import open_stream
from workers.training.learning import Trained, learn, network_of
from workers.training.progress import Learned

log = logging.getLogger("workers.training.train")
T = TypeVar("T")


class _Outcome(NamedTuple):
    """What came of a trial, on every rank alike."""

    state: Literal["done", "pruned", "failed"]
    learned: Learned | None
    why: str = ""


class Search:
    """The trials of a run under way on one rank. All ranks take the same calls in the same order.

    Args:
        context: of the run; its spec is resolved and has a search.
    """

    def __init__(self, context: RunContext[RunSpec]) -> None:
        self.context, self.leads = context, dist.get_rank() == 0
        assert context.spec.search is not None
        self.search, self.space = context.spec.search, space_of(context.spec)
        first = first_settings(context.spec, self.space)
        own = (context.folder, self.search, self.space, first, context.spec.train.seed)
        self.study = Study(*own) if self.leads else None
        self.stream = open_stream(context, 0)
        if context.attempt > 1 and self.study:
            context.journal.event(RESUMED, step=len(self.study.ended()))

    def run(self) -> Trained | None:
        """Try settings until the budget is spent; returns the best with its weights to be loaded, None where it stopped on request."""
        if self.study:
            self._keep_the_best()
        while (trial := self._agree(self._next())) is not None:
            outcome = self._try(trial)
            gc.collect()  # the network of this trial, before the next one is built
            if outcome is None:
                return None
            if self.study:
                self._note(self.study, trial, outcome)
        return self._winner()

    def facts(self) -> dict[str, Any]:
        """What done.json says of the search; rank 0 also writes what was tried. {} on other ranks."""
        if self.study is None or (best := self.study.best()) is None:
            return {}
        ended = self.study.ended()
        tried = [{**one.facts, "settings": one.settings, "state": one.state, "value": one.value} for one in ended]
        (self.context.folder / RESULTS).mkdir(exist_ok=True)
        write_json(self.context.folder / RESULTS / TUNING, {"chosen": best.settings, "tried": tried})
        spent = {"trials": len(ended), "search_s": self.study.seconds, "fit_s": best.facts["fit_s"]}
        total = {name: sum(one.facts.get(name, 0) for one in ended) for name in ("rows", "training_s")}
        total["rows_per_s"] = total["rows"] / max(total["training_s"], 1e-9)
        alarms = at_edge(self.context.spec.model.label, self.study.at_edge(best.settings))
        return {"chosen": best.settings, "alarms": alarms, **spent, **total}

    def _agree(self, value: T) -> T:
        """Rank 0's value on every rank. Waits as long as that takes."""
        shared = [value]
        dist.broadcast_object_list(shared, group=patient())
        return shared[0]

    def _next(self) -> Trial | None:
        if self.study is None:
            return None  # what rank 0 says counts
        concludes = attempts.current(self.context.folder).concludes
        return None if concludes and self.study.best() else self.study.next()

    def _try(self, trial: Trial) -> _Outcome | None:
        """Train with the settings of a trial; None where training stopped on request. A collective call."""
        log.info("trial %d of %d: %s", trial.number + 1, self.search.trials, listed(trial.settings))
        folder, context = trial_folder(self.context.folder, trial.number), self.context
        folder.mkdir(parents=True, exist_ok=True)
        try:
            spec = with_settings(context.spec, trial.settings).resolved(context.dataset.schema)
        except ValueError as error:
            return _Outcome("failed", None, str(error))
        place = {"trial": trial.number + 1, "trials": self.search.trials}
        left_s = partial(self.study.left_s, trial.number) if self.study else None
        journal = Journal(context.folder if self.leads else None, context.attempt, part=folder, left_s=left_s, **place)
        own = replace(context, spec=spec, journal=journal, trial=folder)
        try:
            trained = learn(own, lambda epoch, value: self._prunes(trial, epoch, value), self.stream)
        except FloatingPointError as error:  # on all ranks alike, since they share the loss
            return _Outcome("failed", None, str(error))
        if trained is None:
            return None
        return _Outcome("pruned" if trained.learned.pruned else "done", trained.learned)

    def _prunes(self, trial: Trial, epoch: int, value: float) -> bool:
        return self.study is not None and self.study.report(trial.number, epoch, value)

    def _note(self, study: Study, trial: Trial, outcome: _Outcome) -> None:
        """On rank 0: write what came of a trial to study and journal, and delete the weights that are not the best."""
        learned, root = outcome.learned, trial_folder(self.context.folder, trial.number)
        valid, facts = dict[str, float](), dict[str, Any]()
        if learned is None:
            log.warning("trial %d failed: %s", trial.number + 1, outcome.why)
            facts = {"why": outcome.why, "fit_s": 0.0}
        else:
            valid = checkpoint.facts(checkpoint.best(root / CHECKPOINT))["valid"]
            facts = {"valid": valid, "fit_s": learned.training_s, "learned": learned.model_dump(mode="json"), **learned.cost}
        study.end(trial.number, outcome.state, learned.best if learned else None, {**facts, "seconds": study.seconds_of(trial.number)})
        if learned:
            self._journal(study, trial.number, valid)
        self._keep_the_best()

    def _journal(self, study: Study, number: int, valid: Mapping[str, float]) -> None:
        """A point for each trial: its metrics on validation, and the best so far of the one that chooses."""
        named = {f"valid_{name}": value for name, value in valid.items() if name in METRICS}
        rows = sum(one.facts.get("rows", 0) for one in study.ended())
        self.context.journal.metrics(named, step=number + 1, epoch=number + 1, rows=rows)
        log.info("trial %d: %s", number + 1, ", ".join(f"{name} {value:.4f}" for name, value in named.items()))

    def _keep_the_best(self) -> None:
        assert self.study is not None
        best = self.study.best()
        for one in self.study.ended():
            root = trial_folder(self.context.folder, one.number) / CHECKPOINT
            if best and one.number == best.number:
                checkpoint.drop_steps(root)
            else:
                shutil.rmtree(root, ignore_errors=True)

    def _winner(self) -> Trained:
        """The best trial's network with fresh weights, its checkpoint in the run's own folder. A collective call."""
        best: Ended | None = self._agree(self.study.best() if self.study else None)
        if best is None:
            why = self._agree([one.facts.get("why", "") for one in self.study.ended()] if self.study else [])
            raise ValueError(f"None of {len(why)} trials could be trained. The last one: {why[-1] if why else ''}")
        if self.leads:
            self.context.refuse_older()
            _take_over(trial_folder(self.context.folder, best.number) / CHECKPOINT, self.context.folder / CHECKPOINT)
            log.info("chosen: %s (best of %d trials)", listed(best.settings), best.number + 1)
        dist.barrier(group=patient())
        spec = with_settings(self.context.spec, best.settings).resolved(self.context.dataset.schema)
        context = replace(self.context, spec=spec)
        model, _, parameters = network_of(context)
        return Trained(context, model, Learned.model_validate(best.facts["learned"]), parameters)


def _take_over(won: Path, own: Path) -> None:
    """Move the winner's checkpoint to where that of a run is; an attempt before may have done so."""
    if won.exists():
        shutil.rmtree(own, ignore_errors=True)
        won.rename(own)

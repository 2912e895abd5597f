"""A funnel of two models with known scores: what it shows, and where what it misses was lost."""

import json

import numpy as np
import pandas as pd
import pytest

from workers.artifacts import index
from workers.funnel import blend, measure
from workers.models.funnel import FunnelSpec
from workers.run.journal import Journal
from workers.run.spec import RunSpec
from workers.serving import OpenedFunnel, OpenedModel, UserItems, funnel_weight

ITEMS, USERS = 40, 25
RNG = np.random.default_rng(5)


class Known(OpenedModel):
    """Scores are a dot product; `vectors` only where it is told to have an index."""

    def __init__(self, indexed: bool) -> None:
        super().__init__(pd.DataFrame({"row": np.arange(1, ITEMS + 1)}))
        self.of_users, self.of_items = (RNG.normal(0, 1, (n, 6)).astype(np.float32) for n in (USERS, ITEMS))
        self.indexed = indexed

    def people(self, frame, met):
        return [self.of_users[place] for place in frame.index]

    def scores(self, person, places=None):
        found = self.of_items @ person
        return found if places is None else found[places]

    def queries(self, people):
        return np.stack(people) if self.indexed else None

    @property
    def vectors(self):
        return self.of_items if self.indexed else None


@pytest.fixture
def people():
    seen = [RNG.choice(ITEMS, 8, replace=False) for _ in range(USERS)]
    liked = [np.setdiff1d(RNG.choice(ITEMS, 9, replace=False), one)[: 1 + place % 5] for place, one in enumerate(seen)]
    users = pd.DataFrame(
        {"user_id": [f"u{n}" for n in range(USERS)], "seen": [s + 1 for s in seen], "relevant": [one + 1 for one in liked]}
    )
    none = (np.zeros(0, np.int64), np.zeros(0, np.float32))
    return users, [UserItems(*none, one.astype(np.int64)) for one in seen]


def made(indexed: bool, candidates: int) -> OpenedFunnel:
    retriever, ranker = Known(indexed), Known(False)
    return OpenedFunnel(retriever, ranker, index.build(retriever.of_items) if indexed else None, candidates)


@pytest.mark.parametrize("indexed", [True, False])
def test_candidates_are_the_best_unmet_items_of_the_retriever(people, indexed):
    users, met = people
    opened = made(indexed, 10)
    for place, person in enumerate(opened.people(users, met)):
        order = np.argsort(-opened.retriever.scores(person[0]))
        wanted = [item for item in order if item not in set(met[place].seen)][:10]
        kept = opened.retrieve(person, 10)
        assert list(kept.places) == wanted and np.allclose(kept.scores, opened.retriever.scores(person[0])[wanted])
        shown = opened.scores(person)
        assert sorted(np.flatnonzero(np.isfinite(shown))) == sorted(wanted)
        assert np.allclose(shown[wanted], opened.ranker.scores(person[1])[wanted])


def test_with_the_whole_catalogue_as_candidates_it_is_the_ranker(people):
    users, met = people
    opened = made(True, ITEMS)
    ranked, _ = measure._evaluate(opened, users, met, [ITEMS], Journal(None))
    for place, person in enumerate(opened.people(users, met)):
        scores = opened.ranker.scores(person[1]).copy()
        scores[met[place].seen] = -np.inf
        assert list(ranked["items"][place] - 1) == list(np.argsort(-scores)[: ITEMS - 8])


def test_every_miss_was_lost_in_one_of_two_places(people):
    users, met = people
    opened = made(True, 12)
    ranked, curve = measure._evaluate(opened, users, met, [5, 12, ITEMS], Journal(None))
    for row in curve:
        assert row["found"] + row["lost_at_retrieval"] + row["lost_at_ranking"] == pytest.approx(1)
    assert curve[-1]["lost_at_retrieval"] == 0 and curve[-1]["recall_ceiling"] == 1
    assert [row["recall_ceiling"] for row in curve] == sorted(row["recall_ceiling"] for row in curve)
    own = curve[1]
    assert own["ndcg_at_10"] == pytest.approx(ranked["ndcg_at_10"].mean())
    assert own["recall_at_10"] == pytest.approx(ranked["recall_at_10"].mean())
    among = lost = 0  # by hand: what the retriever does not bring cannot be found
    for place, person in enumerate(opened.people(users, met)):
        relevant, kept = set(users["relevant"][place] - 1), set(opened.retrieve(person, 12).places)
        among, lost = among + min(len(relevant), 10), lost + len(relevant - kept)
    assert own["lost_at_retrieval"] == pytest.approx(lost / among)


def test_the_retrievers_score_is_added_with_its_weight(people):
    users, met = people
    opened = made(True, 12)
    opened.weight = 0.7
    for person in opened.people(users, met):
        kept = opened.retrieve(person, 12).places
        wanted = opened.ranker.scores(person[1])[kept] + 0.7 * opened.retriever.scores(person[0])[kept]
        assert np.allclose(opened.scores(person)[kept], wanted, atol=1e-5)


def test_validation_chooses_the_share_that_a_search_by_hand_finds(people):
    """Relevant is what both stages hold to be good: neither alone orders best."""
    users, met = people
    opened = made(True, 25)
    for place, person in enumerate(opened.people(users, met)):
        both = opened.retriever.scores(person[0]) + opened.ranker.scores(person[1])
        both[met[place].seen] = -np.inf
        users.at[place, "relevant"] = np.argsort(-both)[:4] + 1
    chosen = blend.choose(opened, users, met, 10)
    spreads = [[], []]
    for person in opened.people(users, met):
        kept = opened.retrieve(person, 25)
        spreads[0].append(kept.scores.std())
        spreads[1].append(opened.ranker.scores(person[1])[kept.places].std())
    unit = np.mean(spreads[1]) / np.mean(spreads[0])
    by_hand = {}
    for share in blend.SHARES:
        opened.weight = unit * share / (1 - share) if share < 1 else None
        by_hand[share] = measure._evaluate(opened, users, met, [25], Journal(None))[0]["ndcg_at_10"].mean()
    assert {row["share"]: row["ndcg"] for row in chosen.tried} == pytest.approx(by_hand)
    assert chosen.share == max(by_hand, key=by_hand.get) > 0
    assert chosen.weight == pytest.approx(unit * chosen.share / (1 - chosen.share))
    asked = blend.choose(opened, users, met, 10, share=0.25)
    assert asked.share == 0.25 and asked.weight == pytest.approx(unit / 3) and len(asked.tried) == 12


def test_a_funnel_is_never_below_its_retriever_on_validation(people):
    """The ranker is wrong about everything: the retriever's own order is tried, and wins."""
    users, met = people
    opened = made(False, 25)
    opened.ranker.of_items, opened.ranker.of_users = -opened.retriever.of_items, opened.retriever.of_users
    for place, person in enumerate(opened.people(users, met)):
        alone = opened.retriever.scores(person[0]).copy()
        alone[met[place].seen] = -np.inf
        users.at[place, "relevant"] = np.argsort(-alone)[:4] + 1
    chosen = blend.choose(opened, users, met, 10)
    opened.weight = None
    own = measure._evaluate(opened, users, met, [25], Journal(None))[0]["ndcg_at_10"].mean()
    assert {row["share"]: row["ndcg"] for row in chosen.tried}[1.0] == pytest.approx(own) == 1
    opened.weight = chosen.weight
    assert measure._evaluate(opened, users, met, [25], Journal(None))[0]["ndcg_at_10"].mean() >= own
    rng = np.random.default_rng(0)
    for _ in range(20):  # whatever the ranker
        opened.ranker.of_items = rng.normal(0, 1, opened.ranker.of_items.shape).astype(np.float32)
        tried = blend.choose(opened, users, met, 10)
        assert max(row["ndcg"] for row in tried.tried) >= tried.tried[-1]["ndcg"] == pytest.approx(own)
        assert next(row["ndcg"] for row in tried.tried if row["share"] == tried.share) >= own - 1e-12


def test_the_retriever_alone_is_kept_as_no_weight(tmp_path):
    for weight, read in ((None, None), (0.5, 0.5), (0.0, 0.0)):
        (tmp_path / "funnel.json").write_text(json.dumps({"order": blend.Blend(1.0, weight, [])._asdict()}))
        assert funnel_weight(tmp_path / "funnel.json") == read
    assert funnel_weight(tmp_path / "none.json") == 0
    asked = {"kind": "funnel", "retriever": "a" * 32, "ranker": "b" * 32, "retriever_share": 1}
    assert RunSpec.model_validate({"dataset": "sample-1", "model": asked}).model.retriever_share == 1


def test_where_nothing_can_be_chosen_the_ranker_alone_orders(people):
    users, met = people
    opened = made(True, 10)
    assert blend.choose(opened, users.head(0), [], 10) == (0.0, 0.0, [])
    opened.retriever.of_items[:] = 0  # all alike: it says nothing
    opened.index = None
    assert blend.choose(opened, users, met, 10)[:2] == (0.0, 0.0)
    everything = [UserItems(*met[0][:2], np.arange(ITEMS))] * USERS
    assert blend.choose(opened, users, everything, 10).tried[0] == {"share": 0.0, "ndcg": 0.0}


def test_a_user_who_has_seen_everything_gets_nothing(people):
    users, _ = people
    everything = UserItems(np.zeros(0, np.int64), np.zeros(0, np.float32), np.arange(ITEMS))
    opened = made(True, 10)
    person = opened.people(users.head(1), [everything])[0]
    assert len(opened.retrieve(person, 10).places) == 0 and not np.isfinite(opened.scores(person)).any()


def test_a_funnel_is_a_spec_like_any_other():
    asked = {"kind": "funnel", "retriever": "a" * 32, "ranker": "b" * 32, "candidates": 50, "titles": ("Two-tower", "DLRM")}
    spec = RunSpec.model_validate({"dataset": "sample-1", "model": asked})
    assert isinstance(spec.model, FunnelSpec) and spec.title == "Funnel · Two-tower → DLRM · N 50"
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
    for wrong in (
        {"ranker": "a" * 32},
        {"retriever": "../../etc"},
        {"candidates": 0},
        {"index": "Flat; rm -rf"},
        {"retriever_share": 1.01},
    ):
        with pytest.raises(ValueError, match=r"retriever|ranker|candidates|index|share"):
            RunSpec.model_validate({"dataset": "sample-1", "model": asked | wrong})


def test_settings_name_the_parts_of_a_funnel(monkeypatch):
    from engine.compare import facts
    from tests.records import run

    asked = {
        "kind": "funnel",
        "retriever": "a" * 32,
        "ranker": "b" * 32,
        "titles": ("Two-tower · softmax · dim 64", "DLRM · history · dim 16"),
    }
    spec = RunSpec.model_validate({"dataset": "sample-1", "model": asked}).model_dump(mode="json")
    made = run("f").model_copy(update={"settings": spec, "model": "funnel"})
    monkeypatch.setattr(facts, "_chosen", lambda run: {})  # nothing was tuned, and nothing is stored
    told = facts.settings({"A": [run("a")], "B": [made]}).set_index("setting")["B"]
    assert told["model.retriever"] == "Two-tower · softmax" and told["model.ranker"] == "DLRM · history"
    assert "model.titles" not in told.dropna().index

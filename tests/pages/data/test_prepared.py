"""Prepared datasets on the Data page: the list, and one in full."""

import pandas as pd

import engine
from tests.pages.reading import Says, Visit, links, plainly
from tests.workspace import Workspace
from ui.shared import words


def test_data_lists_datasets_and_shows_the_one_of_the_address(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("data", dataset=shared.films)
    ranked = dict(zip(at.dataframe[0].value["Dataset"], at.dataframe[0].value["Users to rank for"], strict=True))
    counts = engine.datasets.get_dataset(shared.films).counts
    assert ranked["films"] == counts["users_to_rank"]["test"] == 37
    said = says(at)
    assert words.percent(counts["positives"]["train"] / counts["interactions"]["train"]) in plainly(said)
    assert words.number(engine.datasets.baseline_results(shared.films)["popularity"]["ndcg_at_10"]) in said


def test_a_list_without_datasets_leads_to_a_new_one(empty: Workspace, visit: Visit) -> None:
    at = visit("data", view="list")
    (offer,) = at.button
    assert offer.label == "Prepare a dataset"
    offer.click().run()
    assert not at.exception
    assert (at.query_params["view"], at.session_state["data.view"]) == ("new", "new")


def test_the_dataset_list_reads_well_for_every_kind(own: Workspace, visit: Visit) -> None:
    label = {"kind": "multi_class", "liked": ["4", "5"], "threshold": None}
    own.change(own.folder / "datasets" / own.films / "manifest.json", label=label, split={"kind": "column"})
    shown = visit("data").dataframe[0].value.set_index("Dataset")
    assert shown["Liked"].to_dict() == {"clicks": "label 1", "films": "class 4 or 5"}
    assert shown["Split"].to_dict() == {"clicks": "Random", "films": "My column"}
    assert pd.isna(shown.loc["clicks", "Users"])


def test_rows_without_users_cannot_be_browsed_and_every_page_says_why(shared: Workspace, visit: Visit, says: Says) -> None:
    assert "nobody to recommend to" in says(visit("data", dataset=shared.clicks))
    at = visit("recommend", runs=shared.ids("clicks"))
    assert "nobody to recommend to" in says(at)
    assert not at.text_input  # no user to look for, and so no model to open
    assert "What would they recommend to one user?" not in links(visit("compare", runs=shared.ids("clicks")))

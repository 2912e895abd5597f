"""Recommend: one user, their likes in training and held out, and what each model recommends to them."""

import streamlit as st

import engine
from ui.recommend import lists, newcomer, people, votes
from ui.runs import annotations, list_exports
from ui.shared import address, layout, picker, words

layout.header("Recommend", "What each model recommends to one user, beside what that user liked before and later.")

finished = picker.finished()
if not finished:
    if address.values("runs"):
        annotations.missing("finished run", address.values("runs"))
    layout.empty(
        "No training has finished yet. Train a model to see what it recommends.",
        "train/page.py",
        "Train models",
        ":material/model_training:",
    )
    st.stop()

chosen, unknown = picker.pick_runs("recommend.runs", finished, picker.last_comparison(finished) or [finished[0].run_id])
if unknown:
    annotations.missing("finished run", unknown)
by_id = {run.run_id: run for run in finished}
contenders = lists.same_dataset([by_id[run_id] for run_id in chosen])
if not contenders:
    st.info("Choose one or more finished runs above.")
    st.stop()

dataset = contenders[0].dataset or ""
try:
    why = engine.datasets.why_no_ranking(engine.datasets.get_dataset(dataset))
except LookupError as error:
    st.error(words.md(error, 600), icon=":material/error:", title="The dataset is not in this workspace")
    st.stop()
if why:
    st.info(words.md(why, 600), icon=":material/person_off:", title="No recommendations on this dataset")
    compared = {"runs": ",".join(run.run_id for run in contenders)}
    st.page_link("compare/page.py", label="Compare their predictions", icon=":material/balance:", query_params=compared)
    st.stop()
popularity_is_run = any(run.model == "popularity" for run in contenders)
with st.container(horizontal=True, vertical_alignment="bottom"):
    who = people.pick_who()
    list_exports.section(contenders)
seen: set[str] = set()  # items that are not recommended again
held_out: set[str] = set()
if who == "item":
    item = newcomer.pick_item(dataset)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k, with_popularity, rules = people.pick_options(dataset, popularity_is_run=True, new=True)
    if item.empty:
        st.info("Choose an item to see the most similar items of each contender.")
        st.stop()
    st.header(f"Similar to {words.md(item['title'].iloc[0], 80)}", anchor=False)
    query = lists.Query(rules, item=item["item_id"].iloc[0])
    person, seen = lists.Person(item, title=lists.ITEM), set(item["item_id"])
elif who == "new":
    liked = newcomer.pick_liked(dataset)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k, with_popularity, rules = people.pick_options(dataset, popularity_is_run, new=True)
    if liked.empty:
        st.info("Choose what this person likes to see each contender's list. Nothing is trained again.")
        st.stop()
    title, facts = "New user", ""
    query = lists.Query(rules, liked=tuple(liked["item_id"]))
    person, seen = lists.Person(liked), set(query.liked)
else:
    user, (k, with_popularity, rules) = people.pick_user(dataset, [run.run_id for run in contenders], popularity_is_run)
    if user is None:
        st.stop()
    try:
        interactions = engine.datasets.user_interactions(dataset, user)
    except LookupError:
        layout.unknown("user", [user])
        st.stop()
    title, facts = f"User {words.md(user, 60)}", people.about(dataset, user)
    query = lists.Query(rules, user)
    known = engine.datasets.get_dataset(dataset).known_at_test
    person, seen = lists.person(interactions, known), set(interactions.loc[interactions["split"].isin(known), "item_id"])
    held_out = set() if person.after is None else set(person.after["item_id"])

if who != "item":
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(title, anchor=False, width="content")
        if facts:
            st.caption(words.md(facts, 200), width="content")
        voting = votes.blind(contenders)
    if voting:
        votes.ask(contenders, person, query, k)
        st.stop()
most_liked = lists.popular(dataset, k, rules, seen, held_out) if with_popularity else None
columns = lists.lists(contenders, query, k, most_liked)
lists.side_by_side(person, columns, k, rules)

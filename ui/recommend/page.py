"""Recommend: one user, what they liked, what they went on to like, and what each model would show them."""

import streamlit as st

import engine
from ui.recommend import lists as recommending
from ui.recommend import newcomer, people, votes
from ui.runs import annotations, list_exports
from ui.shared import address, layout, picker, words

layout.header("Recommend", "What each model would show one person, beside what that person liked and went on to like.")

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
contenders = recommending.same_dataset([by_id[run_id] for run_id in chosen])
if not contenders:
    st.info("Choose one or more finished runs above.")
    st.stop()

dataset = contenders[0].dataset
try:
    why = engine.datasets.why_no_ranking(engine.datasets.get_dataset(dataset))
except LookupError as error:
    st.error(words.md(error, 600), icon=":material/error:", title="Its dataset is not here")
    st.stop()
if why:
    st.info(words.md(why, 600), icon=":material/person_off:", title="There is nobody to recommend to")
    compared = {"runs": ",".join(run.run_id for run in contenders)}
    st.page_link("compare/page.py", label="Compare how well they judge rows", icon=":material/balance:", query_params=compared)
    st.stop()
list_exports.section(contenders)
popularity_is_run = any(run.model == "popularity" for run in contenders)
who = people.pick_who()
seen: set[str] = set()  # what is not recommended again
held_out: set[str] = set()
if who == "item":
    found = newcomer.pick_item(dataset)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k, with_popularity, rules = people.pick_options(dataset, popularity_is_run=True, new=True)
    if found.empty:
        st.info("Find an item to see which others each contender holds to be like it.")
        st.stop()
    asked = recommending.Asked(rules, item=found["item_id"].iloc[0])
    person, seen = recommending.Person(found, title="Items like"), set(found["item_id"])
elif who == "new":
    liked = newcomer.pick_liked(dataset)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k, with_popularity, rules = people.pick_options(dataset, popularity_is_run, new=True)
    if liked.empty:
        st.info("Pick what this person likes: each contender's list appears at once, and nothing is trained again.")
        st.stop()
    st.subheader("A new person", anchor=False)
    asked = recommending.Asked(rules, liked=tuple(liked["item_id"]))
    person, seen = recommending.Person(liked), set(asked.liked)
else:
    user, (k, with_popularity, rules) = people.pick_user(dataset, [run.run_id for run in contenders], popularity_is_run)
    if user is None:
        st.stop()
    try:
        met = engine.datasets.user_interactions(dataset, user)
    except LookupError:
        layout.unknown("user", [user])
        st.stop()
    st.subheader(f"User {words.md(user, 60)}", anchor=False)
    asked = recommending.Asked(rules, user)
    person, seen = recommending.person(met), set(met.loc[met["split"] == "train", "item_id"])
    held_out = set() if person.after is None else set(person.after["item_id"])

if who != "item" and votes.blind(contenders):
    votes.ask(contenders, person, asked, k)
    st.stop()
most_liked = recommending.popular(dataset, k, rules, seen, held_out) if with_popularity else None
lists = recommending.lists(contenders, asked, k, most_liked)
recommending.side_by_side(person, lists, k, rules)

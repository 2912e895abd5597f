"""Entry of the workbench: page settings and navigation, nothing else. `recbench` starts it; so does `streamlit run ui/app.py`."""

import streamlit as st

import engine
from engine.settings import SettingsError, keep_private
from ui.shared import adoption, errors, notices, store_trouble, words

# The folder is not called pages: beside the main script, Streamlit would take that name for its older kind of multipage app,
# and the first visitor of a fresh server would get that one instead of this navigation.
st.set_page_config(page_title="Recommender workbench", page_icon=":material/compare_arrows:", layout="wide")

try:
    keep_private()
except SettingsError as error:
    st.error(words.md(str(error), 800), icon=":material/settings_alert:", title="The workbench cannot start")
    st.stop()
page = st.navigation(
    [
        st.Page("home/page.py", title="Home", icon=":material/home:", default=True),
        st.Page("data/page.py", title="Data", icon=":material/table:", url_path="data"),
        st.Page("train/page.py", title="Train", icon=":material/model_training:", url_path="train"),
        st.Page("plan/page.py", title="Plan", icon=":material/architecture:", url_path="plan"),
        st.Page("runs/page.py", title="Runs", icon=":material/list_alt:", url_path="runs"),
        st.Page("compare/page.py", title="Compare", icon=":material/balance:", url_path="compare"),
        st.Page("recommend/page.py", title="Recommend", icon=":material/recommend:", url_path="recommend"),
        st.Page("registry/page.py", title="Registry", icon=":material/inventory_2:", url_path="registry"),
        st.Page("system/page.py", title="System", icon=":material/settings:", url_path="system"),
        st.Page("help/page.py", title="Help", icon=":material/help:", url_path="help"),
    ],
    position="top",
)
with engine.runs.read_once(), errors.masked():
    trouble = adoption.offer()
    try:
        if trouble is None or page.url_path in ("help", "system"):  # these two are of use without a store
            if trouble is None:
                notices.follow(getattr(page, "title", ""))  # before the page, which may stop early; without a server, pages have no title
            page.run()
    except engine.runs.StoreError as error:
        trouble = trouble or error
    if trouble is not None:
        store_trouble.tell(trouble)

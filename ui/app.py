"""Entry of the workbench: page settings and navigation, nothing else. `recbench` starts it; so does `streamlit run ui/app.py`."""

import streamlit as st

st.set_page_config(page_title="Recommender workbench", page_icon=":material/compare_arrows:", layout="wide")

st.navigation(
    [
        st.Page("pages/home.py", title="Home", icon=":material/home:", default=True),
        st.Page("pages/data.py", title="Data", icon=":material/table:", url_path="data"),
        st.Page("pages/train.py", title="Train", icon=":material/model_training:", url_path="train"),
        st.Page("pages/runs.py", title="Runs", icon=":material/list_alt:", url_path="runs"),
        st.Page("pages/compare.py", title="Compare", icon=":material/balance:", url_path="compare"),
        st.Page("pages/recommend.py", title="Recommend", icon=":material/recommend:", url_path="recommend"),
        st.Page("pages/system.py", title="System", icon=":material/settings:", url_path="system"),
    ],
    position="top",
).run()

"""Help: one topic at a time, in the words of the repository's own pages."""

import streamlit as st

from ui.help import topics
from ui.shared import address, layout

layout.header("Help", "What the workbench does, exactly, and how to use it from the command line and from Python.")

asked = address.value("topic")
if asked and asked not in topics.TOPICS:
    layout.unknown("help topic", [asked])
address.seed("help.topic", "topic", asked if asked in topics.TOPICS else next(iter(topics.TOPICS)))
topic = st.segmented_control(
    "Topic",
    list(topics.TOPICS),
    format_func=lambda name: topics.TOPICS[name],
    key="help.topic",
    required=True,
    label_visibility="collapsed",
)
address.remember("help.topic", "topic", topic)
with st.container(width=860):  # lines that an eye can follow
    st.markdown(topics.text(str(topic)))

"""What a person sees: Streamlit pages over `engine`. Nothing here computes, trains or owns a process."""

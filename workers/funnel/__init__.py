"""Two finished runs behind each other, measured as one contender."""

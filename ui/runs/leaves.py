"""Settings of a run as they are stored, flat, under dotted names."""

from typing import Any

from ui.shared import words


def leaves(spec: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'model': {'kind': 'dlrm'}} -> {'model.kind': 'dlrm'}; a dash for what is off, yes and no, lists as text."""
    found: dict[str, Any] = {}
    for name, value in spec.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            found[prefix + name] = ", ".join(map(str, value)) or "none"
        else:
            found[prefix + name] = (
                {None: words.DASH, True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else value
            )
    return found

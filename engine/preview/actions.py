"""Which actions count as liked where nobody says so: the stronger ones, by their names."""

from collections.abc import Sequence

from engine.tables import strength_of

STRONG = 3  # from here on, an action says more than looking does


def usual_likes(actions: Sequence[str]) -> list[str]:
    """The actions that count as liked unless somebody chooses: those stronger than the weakest one.

    Where names do not say which are stronger, all but the most frequent: everybody views, few buy.

    Args:
        actions: by descending frequency.

    Returns:
        Some of them, at least one where there is one, in their order.
    """
    levels = {action: strength_of(action) for action in actions}
    known = [level for level in levels.values() if level]
    weakest = min(known, default=0)
    if known and (weakest < max(known) or weakest >= STRONG):
        least = weakest if weakest < max(known) else weakest - 1
        liked = [a for place, a in enumerate(actions) if (place > 0 if (level := levels[a]) is None else level > least)]
    else:
        liked = [action for action in actions[1:] if levels[action] != 0]
    return liked or list(actions[1:]) or list(actions)


def strong_and_frequent(actions: Sequence[str]) -> str | None:
    """The most frequent of several actions where it is a strong one, so that its likes are to be confirmed; else None.

    Args:
        actions: by descending frequency.
    """
    return actions[0] if len(actions) > 1 and (strength_of(actions[0]) or 0) >= STRONG else None

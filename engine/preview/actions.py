"""Which actions count as liked where nobody says so: the stronger ones, by their names."""

import re
from collections.abc import Sequence

STRENGTHS: tuple[frozenset[str], ...] = (
    frozenset({"pv", "view", "views", "viewed", "pageview", "detail", "impression", "impressions", "exposure", "show", "shown", "display"}),
    frozenset({"click", "clicks", "clicked", "clk", "open", "opened"}),
    frozenset({"fav", "favor", "favorite", "favourite", "favorites", "favourites", "like", "liked", "wishlist", "collect",
               "save", "saved"}),
    frozenset({"cart", "addtocart", "basket", "addtobasket", "atc"}),
    frozenset({"buy", "bought", "order", "ordered", "orders", "purchase", "purchased", "purchases", "transaction", "transactions",
               "pay", "paid", "payment", "checkout", "sale", "conversion"}),
)  # fmt: skip
UNDONE = {"remove", "removed", "delete", "deleted", "cancel", "cancelled", "canceled", "return", "returned", "refund", "dislike", "not"}
STRONG = 3  # from here on, an action says more than looking does


def strength_of(action: str) -> int | None:
    """1 (view) to 5 (buy) by the name of an action; 0 for one that takes another back, None for a name that says nothing."""
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", action).lower()))
    if words & UNDONE:
        return 0
    return max((level for level, names in enumerate(STRENGTHS, 1) if words & names), default=None)


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

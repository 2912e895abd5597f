"""The names of actions, and how much each says: a view little, a purchase much."""

import re

STRENGTHS: tuple[frozenset[str], ...] = (
    frozenset({"pv", "view", "views", "viewed", "pageview", "detail", "impression", "impressions", "exposure", "show", "shown", "display"}),
    frozenset({"click", "clicks", "clicked", "clk", "clks", "open", "opened"}),
    frozenset({"fav", "favs", "favor", "favorite", "favourite", "favorites", "favourites", "like", "liked", "wishlist", "collect",
               "save", "saved"}),
    frozenset({"cart", "carts", "addtocart", "basket", "addtobasket", "atc"}),
    frozenset({"buy", "buys", "bought", "order", "ordered", "orders", "purchase", "purchased", "purchases", "transaction", "transactions",
               "pay", "paid", "payment", "checkout", "sale", "conversion"}),
)  # fmt: skip
UNDONE = {"remove", "removed", "delete", "deleted", "cancel", "cancelled", "canceled", "return", "returned", "refund", "dislike", "not"}
OTHERS = {
    "play", "played", "listen", "listened", "watch", "watched", "read", "share", "shared", "comment", "commented", "follow", "followed",
    "forward", "skip", "skipped", "download", "downloaded", "install", "installed", "rate", "rated", "review", "reviewed", "subscribe",
    "subscribed", "apply", "applied", "booking", "booked", "complete", "completed", "finish", "finished", "enroll", "enrolled", "hide",
    "upvote", "downvote", "bookmark", "bookmarked", "visit", "visited", "reply", "retweet", "search", "add", "added",
}  # fmt: skip
BESIDE = {"to", "from", "item", "product", "the", "add", "added", "page", "in", "a", "list", "begin"}  # words that say nothing more
LONGEST = 30


def strength_of(action: str) -> int | None:
    """1 (view) to 5 (buy) by the name of an action; 0 for one that takes another back, None for a name that says nothing."""
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", action).lower()))
    if words & UNDONE:
        return 0
    return max((level for level, names in enumerate(STRENGTHS, 1) if words & names), default=None)


def is_action(value: str, alone: bool = False) -> bool:
    """Whether a value is the name of an action and nothing else. alone: there is no other value, so that the name must be a usual one."""
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", value).lower()))
    known = set().union(*STRENGTHS) | UNDONE | (set() if alone else OTHERS)
    return len(value) <= LONGEST and bool(words & known) and words <= known | BESIDE and not any(mark.isdigit() for mark in value)

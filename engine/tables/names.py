"""The words of column names, and the words by which the columns of real data sets are called."""

import re

ID = {
    "id", "ids", "no", "nr", "key", "number", "hash", "code", "uuid", "guid", "index", "idx", "num", "raw", "orig", "parent", "mbid",
    "musicbrainz", "imdb", "tmdb", "encoded", "anon", "internal", "external", "new", "ext", "unique",
}  # fmt: skip
USER = {
    "user", "users", "customer", "visitor", "member", "account", "profile", "reviewer", "buyer", "client", "person", "cookie",
    "household", "subscriber", "player", "listener", "viewer", "reader", "uid", "consumer", "shopper", "student", "patient", "cust",
    "learner", "msno", "rater", "voter", "donor", "guest", "passenger", "borrower", "employee", "usr", "people",
}  # fmt: skip
ITEM = {
    "item", "items", "movie", "film", "product", "sku", "asin", "article", "book", "isbn", "track", "song", "video", "news",
    "content", "goods", "offer", "listing", "business", "recipe", "game", "app", "ad", "venue", "anime", "artist", "show", "iid",
    "document", "doc", "course", "job", "photo", "post", "podcast", "episode", "hotel", "restaurant", "poi", "beer", "joke",
    "stockcode", "aid", "upc", "ean", "gtin", "barcode", "prod", "merchandise", "creative", "advert", "clip", "album", "playlist",
    "attraction", "destination", "repo", "paper", "vid", "pid", "mid", "manga", "wine", "drug",
}  # fmt: skip
ORDER = {
    "order", "invoice", "basket", "receipt", "ticket", "session", "visit", "transaction", "request", "impression", "query",
    "purchase", "review", "log", "row", "record", "bill", "search", "conversion", "comment",
}  # fmt: skip
SESSION = {
    "session",
    "sess",
    "basket",
    "visit",
    "order",
    "invoice",
    "cookie",
    "device",
    "household",
}  # stand in for a user that is not known
RATED = {
    "rating", "ratings", "score", "scores", "stars", "star", "label", "target", "overall", "rate", "y", "preference", "feedback",
    "relevance", "grade", "response", "outcome",
}  # fmt: skip
DONE = {
    "click", "clicked", "clicks", "view", "viewed", "cart", "buy", "bought", "purchase", "purchased", "like", "liked", "likes",
    "share", "shared", "comment", "commented", "favorite", "favourite", "favorited", "follow", "followed", "forward", "order",
    "ordered", "converted", "conversion", "watched", "completed", "install", "installed", "addtocart", "long", "read", "reviewed",
    "rated", "recommended", "recommend", "reordered", "booking", "booked", "played", "listened", "skipped", "skip", "finish",
    "finished", "downloaded", "subscribe", "subscribed", "saved", "collect", "collected", "dislike", "disliked", "hate", "hated",
    "applied", "attribution", "sale", "sold", "listen", "watch", "wishlist", "upvote", "thumbs", "interested", "engaged", "visited",
    "repurchased", "clk", "buys",
}  # fmt: skip
ACTION = {"event", "action", "behavior", "behaviour", "interaction", "activity"}
KIND = {"type", "kind", "name", "code", "category", "class"}  # say that an action is meant only beside it
AMOUNT = {
    "quantity", "qty", "amount", "total", "subtotal", "revenue", "units", "plays", "playtime", "playcount", "hours", "minutes",
    "duration", "dwell", "count", "counts", "cnt", "nb", "spent", "spend", "ratio", "times", "frequency", "freq", "listens",
    "watching", "turnover", "ordered", "pieces", "gmv",
}  # fmt: skip
USED = {
    "play", "playing", "played", "watch", "watching", "listen", "listening", "read", "reading", "view", "viewing", "dwell", "hours",
    "playtime", "time", "spent",
}  # fmt: skip
PRICE = {"price", "cost", "unitprice", "discount", "tax", "fee", "paid", "cpo", "fare"}
AFTER = {
    "helpful", "helpfulness", "useful", "funny", "cool", "vote", "votes", "voted", "upvotes", "downvotes", "comments", "replies",
    "nvotes", "unhelpful",
}  # fmt: skip
MEANS = {"average", "avg", "mean", "median", "count", "counts", "number", "num", "n", "total", "sum", "std", "var", "nb", "by", "cnt"}
TIME = {
    "timestamp", "time", "date", "ts", "datetime", "created", "at", "unix", "epoch", "when", "utc", "ms", "millis", "seconds", "day",
    "dat", "eventtime", "eventdate", "moment", "timestamps", "dt",
}  # fmt: skip
DAYTIME = {"hour", "week", "month", "day", "ms", "seconds", "dt", "date"}  # of a time only where the values are dates
NOT_WHEN = {
    "release", "released", "birth", "birthday", "born", "signup", "registered", "registration", "publish", "published", "since",
    "join", "joined", "first", "expire", "expired", "spent", "dwell", "watch", "play", "zone",
}  # fmt: skip
LATER = {"conversion", "updated", "modified", "deleted", "returned", "delivered", "shipped", "end", "ended", "closed", "purchase", "last"}
POSITION = {"position", "pos", "rank", "slot", "showpos", "ranking"}
SPLIT_VALUES = {"train", "training", "valid", "validation", "val", "dev", "test", "testing"}
TITLE, IMAGE = {"title", "name", "headline", "caption"}, {"image", "img", "poster", "picture", "thumbnail", "cover", "photo", "imurl"}
GENRES, TAGS = {"genre", "genres"}, {"tags", "tag", "categories", "keywords", "topics", "labels", "features", "styles"}
USER_SIDE = {"age", "gender", "sex", "occupation", "country", "city", "zip", "region", "income", "membership", "job", "education", "state"}
ITEM_SIDE = {
    "price", "brand", "category", "year", "author", "publisher", "color", "colour", "size", "genre", "genres", "title", "tags",
    "language", "director", "studio", "released", "description", "categories", "manufacturer",
}  # fmt: skip
NAMELESS = {"index", "level_0", "__index_level_0__", "row", "rownum", "x", "x1", "rowid", "row_id"}  # what tools call the number of a row
TYPED = re.compile(r":(token_seq|float_seq|token|float)\s*$", re.IGNORECASE)
NOUNS = USER | ITEM | ORDER
GLUED = ("ids", "id", "no", "name", "time", "date", "count", "title", "rating", "type")


def type_in(name: str) -> str | None:
    """The type that a header of RecBole writes behind the name: token, float, token_seq or float_seq."""
    found = TYPED.search(name)
    return found[1].lower() if found else None


def words_of(name: str) -> frozenset[str]:
    """ "movieId", "movie_id", "movieid" and "movie_id:token" are movie and id."""
    plain = TYPED.sub("", name)
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", plain)}
    if {"stock", "code"} <= words:
        words = words - {"stock"} | {"stockcode"}
    apart: set[str] = set()
    for word in words:
        end = next((end for end in GLUED if word.endswith(end) and word.removesuffix(end) in NOUNS), None)
        apart |= {word.removesuffix(end), end} if end and word not in NOUNS | TIME else {word}
    return frozenset(apart)

"""Which columns say how an interaction went: the label, and what else is known only afterwards and must not become a feature."""

import re
from collections.abc import Callable, Sequence

from engine.tables.actions import is_action
from engine.tables.meaning import Answer, Change, Found, Meaning, Open, Question, ask, example, listed
from engine.tables.names import (
    ACTION,
    AFTER,
    AMOUNT,
    DONE,
    ID,
    ITEM,
    KIND,
    MEANS,
    NOT_WHEN,
    PRICE,
    RATED,
    TIME,
    USED,
    USER,
    USER_SIDE,
)  # fmt: skip
from engine.tables.specs import Role
from engine.tables.values import Column, one_for_each

FEW = 20  # different values of a class or an action, at most
UNRATED = (0.0, -1.0, -99.0, -999.0, 99.0, 999.0, 9999.0)  # written where nobody rated
BEYOND = 5  # times all ratings: a larger one is none
OFTEN = 0.05  # the share of zeros from which they are asked about
COUNTS = 100  # times the median: numbers beyond are rather counts than weights
AGAIN = {"user", "users", "my", "own", "given", "review", "overall", "value", "explicit", "personal"}  # change nothing about a rating
COUNTED = re.compile(r"[\d\s,.|/\[\]]+")  # numbers, also several in a cell
NOT_USED = "Not used: every row counts as liked"


def outcomes(columns: Open, table: str) -> Found:
    """Labels, classes and actions; other outcomes are ignored: as features they would leak the label."""
    if table != "interactions":
        return Found([])
    rated = sorted(_places(columns, _is_rating), key=lambda k: (len(_beside(columns[k])), k))
    classed = _places(columns, lambda c: _rates(c) and c.type == "text" and c.distinct <= FEW)
    acted = sorted(_places(columns, _is_action), key=lambda k: (columns[k] is not None and not _known_actions(columns[k]), k))
    done = _places(columns, _is_done)
    kinds: list[tuple[Role, list[int], str]] = [
        ("label", rated[:1], "its name says rating or label, and its values are numbers"),
        ("label", done, "its name is that of an action, and its values are 0 and 1"),
        ("action", acted[:1], "its values are actions, or its name says so"),
        ("class", classed[:1], "its name says label, and its values are words"),
    ]
    chosen = next(((role, places, why) for role, places, why in kinds if places), None)
    if chosen is None:
        return Found([])
    role, places, why = chosen
    others = sorted(set(rated + classed + acted + done) - set(places))
    questions = _which(columns, role, places, others)
    taken = [(k, Meaning(role, "context", not questions, why)) for k in places]
    return Found([*taken, *((k, Meaning("ignore", "context", False, "another outcome, which would leak the label")) for k in others)],
                 questions)  # fmt: skip


def _places(columns: Open, fits: Callable[[Column], bool]) -> list[int]:
    return [k for k, column in enumerate(columns) if column is not None and column.values and fits(column)]


def _rates(column: Column) -> bool:
    words = column.words
    return bool(words & RATED) and not words & (MEANS | ID | TIME) and not ("rate" in words and words & DONE)


def _is_rating(column: Column) -> bool:
    return _rates(column) and (column.is_number or column.type == "yes/no")


def _is_done(column: Column) -> bool:
    """By a name such as click or is_read, of a column that holds 0 and 1; the order in a cart is none."""
    words = column.words
    return column.is_binary and bool(words & DONE) and not words & (MEANS | ID | {"verified"}) and not ("order" in words and len(words) > 1)


def _beside(column: Column | None) -> frozenset[str]:
    return column.words - RATED - USER - ITEM - AGAIN if column else frozenset()


def _is_action(column: Column) -> bool:
    """By the name, or by values that are known actions; codes such as 0 to 3 by the name alone."""
    if column.distinct > FEW or column.type not in ("text", "integer"):
        return False
    if column.type == "text" and _known_actions(column):
        return True
    words = column.words - USER
    named = (bool(words & ACTION) and words <= ACTION | KIND | DONE) or words in ({"type"}, {"kind"})
    return named and not words & ID - {"code"}


def _known_actions(column: Column | None) -> bool:
    """Whether every value is the name of an action, such as pv, buy, cart and fav."""
    values = {value.strip() for value in column.values} if column else set()
    return bool(values) and len(values) <= FEW and all(is_action(value, alone=len(values) == 1) for value in values)


def _which(columns: Open, role: Role, places: Sequence[int], others: Sequence[int]) -> list[Question]:
    """Which of several outcomes is learnt; nothing to ask where there is one, or several actions of one kind."""
    if not others:
        return []
    mine, theirs = ([c for k in some if (c := columns[k])] for some in (places, others))
    every = [*mine, *theirs]

    def only(kept: Sequence[Column], as_: Role) -> list[Change]:
        return [Change(c.name, as_ if c in kept else "ignore") for c in every]

    answers = {f"{listed([c.name for c in mine])}{example(mine[0])}": only(mine, role)}
    for column in theirs[:6]:
        answers[f"{column.name}{example(column)}"] = only([column], _role_of(column))
    both = [c for c in every if c.is_binary]
    if len(both) > max(1, len(mine) if all(c in both for c in mine) else 1):
        answers[f"Each of {listed([c.name for c in both])}"] = only(both, "label")
    text = f"Several columns say how it went: {listed([c.name for c in every])}. Which is learnt? The others are not used."
    return [ask("outcome", text, every, answers)]


def _role_of(column: Column) -> Role:
    if column.is_number or column.type == "yes/no":
        return "label"
    return "action" if _is_action(column) else "class"


def known_later(columns: Open, table: str, labelled: bool) -> Found:
    """Amounts, prices, votes and whatever is written after the outcome: asked, and not used until then."""
    if table != "interactions":
        return Found([])
    amounts = _places(columns, _is_amount)
    late = [k for k in _places(columns, _is_late) if k not in amounts]
    taken, questions = list[tuple[int, Meaning]](), list[Question]()
    for place in (*late, *amounts):
        role: Role = "dense" if (c := columns[place]) and c.is_number and c.words & {"vote", "votes"} else "ignore"
        taken.append((place, Meaning(role, "context", False, "it may be known only afterwards")))
    if amounts and not labelled and (column := columns[amounts[0]]):
        questions.append(_amount(column))
        amounts = amounts[1:]
    asked = [c for k in sorted({*late, *amounts}) if (c := columns[k])]
    if asked:
        text = f"{listed([c.name for c in asked])} may be known only after the outcome, which would leak it. Known before?"
        features = [Change(c.name, _feature_role(c)) for c in asked]
        answers = {
            "Not used": [Change(c.name, "ignore") for c in asked],
            "Known before: features of the context": features,
        }
        questions.append(ask("late", text, asked, answers))
    return Found(taken, questions)


def _feature_role(column: Column) -> Role:
    return "tags" if column.type == "list" else "dense" if column.is_number else "category"


def _is_amount(column: Column) -> bool:
    """How much somebody took or used: a quantity, a number of plays, a time spent; not the length of a video."""
    words = column.words
    if not column.is_number or words & (ID | USER_SIDE | AFTER):
        return False
    spent = bool(words & USED) and bool(words & (AMOUNT | {"time", "times", "ms", "seconds", "percent", "s"}))
    return spent or (bool(words & AMOUNT) and not words & (ITEM | RATED | DONE | {"birth", "days", "review"}))


def _is_late(column: Column) -> bool:
    """Votes on it, and numbers and dates whose names speak of the outcome: helpful, click_pos, avg_rating, review_aroma."""
    words = column.words
    if words & AFTER and not words & ID and (column.is_number or all(COUNTED.fullmatch(value) for value in column.values)):
        return True
    if column.type == "empty" or not (column.is_number or column.type in ("yes/no", "date")) or words & USER_SIDE:
        return False
    return bool(words & (DONE - {"order", "long"} | RATED)) or ("review" in words and not words & ID) or _time_spent(words)


def _time_spent(words: frozenset[str]) -> bool:
    return bool(words & NOT_WHEN & {"spent", "dwell", "watch", "play"}) and bool(words & TIME)


def _amount(column: Column) -> Question:
    """What a column that counts how much is."""
    text = f"{column.name}{example(column)} seems to say how much somebody took or used, which is known only afterwards. What is it?"
    answers = {
        NOT_USED: [Change(column.name, "ignore")],
        "The label: a number to predict, or a threshold from which a row is liked": [Change(column.name, "label")],
        "The weight of the row in training": [Change(column.name, "weight")],
    }
    return ask("amount", text, [column], answers)


def prices(columns: Open, table: str, item: Column | None) -> Found:
    """Prices: of the item where each item has one, else asked: it may be what was paid in the end."""
    taken, questions = list[tuple[int, Meaning]](), list[Question]()
    for k, c in enumerate(columns):
        if table == "interactions" and c and c.values and c.words & PRICE and c.is_number:
            if item is not None and one_for_each(item, c):
                taken.append((k, Meaning("dense", "item", True, "each item has one price")))
                continue
            taken.append((k, Meaning("dense", "item" if item else "context", False, "a price: of the item, or of this purchase?")))
            text = f"Is {c.name}{example(c)} the price of the item, or of this one purchase, known only afterwards?"
            answers = {"Of the item: its feature": [Change(c.name, "dense", "item")]} if item else {}
            answers |= {
                "Of the moment, and known before: a feature of the context": [Change(c.name, "dense")],
                "Not used": [Change(c.name, "ignore")],
            }
            questions.append(ask("price", text, [c], answers))
    return Found(taken, questions)


def weights(columns: Open, table: str) -> Found:
    """A column called weight; asked where its numbers are rather counts."""
    names = {"weight", "weights", "importance"}
    near = [k for k, c in enumerate(columns) if c and c.words <= names | {"sample", "row"} and c.words & names]
    if table != "interactions" or not near or (column := columns[near[0]]) is None:
        return Found([])
    numbers = sorted(column.floats)
    counts = bool(numbers) and numbers[-1] > COUNTS * numbers[len(numbers) // 2] > 0
    why = "its name says weight" + (", but the largest is over 100 times the median: a count, such as plays?" if counts else "")
    questions = []
    if counts:
        question = _amount(column)
        text = f"The largest {column.name} is {numbers[-1]:,g}, over 100 times the median: a count, such as plays, rather than a weight?"
        questions = [question.model_copy(update={"text": text})]
    return Found([(near[0], Meaning("weight", "context", not counts, why))], questions)


def binary_range(column: Column) -> tuple[float, float] | None:
    """0 and 1, or -1 and 1, where these are all values of a label: it is the answer itself."""
    if column.type == "yes/no":
        return 0, 1
    found = set(column.floats)
    if not column.is_number or not found <= {-1.0, 0.0, 1.0} or not (len(found) == 2 or (found and column.words & DONE)):
        return None
    return (-1, 1) if -1 in found else (0, 1)


def unrated(column: Column) -> float | None:
    """The value that may mean that nobody rated: many zeros below a scale, or -1, or 99 beyond it."""
    numbers = column.floats
    if not numbers or not column.is_number or binary_range(column) is not None:
        return None
    for value in (min(numbers), max(numbers)):
        rest = [one for one in numbers if one != value]
        if value not in UNRATED or not rest or max(rest) <= 1:
            continue
        often = len(numbers) - len(rest) >= OFTEN * len(numbers)
        if (value < 0 <= min(rest)) or (value == 0 < min(rest) and often) or value > BEYOND * max(map(abs, rest)):
            return value
    return None


def about_unrated(column: Column, value: float) -> Question:
    """Whether a value at the end of the scale is a rating."""
    count = sum(number == value for number in column.floats)
    rest = [number for number in column.floats if number != value]
    text = f"{column.name} is {value:g} in {count:,} of the first {column.rows:,} rows, and {min(rest):g} to {max(rest):g} in the others."
    text += f" Does {value:g} mean that nobody rated?"
    below = value < min(rest)
    bound = _between(value, min(rest) if below else max(rest), column.type == "integer")
    out = Answer(text="Yes: leave these rows out", low=bound if below else None, high=None if below else bound)
    keep = Answer(text=f"No: {value:g} is a rating, the {'lowest' if below else 'highest'}")
    return Question(key=f"unrated: {column.name}", text=text, columns=(column.name,), answers=(out, keep))


def _between(value: float, nearest: float, whole: bool) -> float:
    """A bound between a value that means nothing and the scale, close to the value: the head may not have the ends of the scale."""
    if value > nearest:
        return value - (1 if whole else 0.01)
    return value + 1 if whole else value + min(0.1, nearest - value)

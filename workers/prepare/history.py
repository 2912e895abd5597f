"""The items that a user liked, as a bag beside each interaction: one pass over rows sorted by user and time.

Runs inside mapInArrow on Spark executors; imports no Spark.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.artifacts import TEST, TRAIN, VALID

SLICE = 2048  # rows whose bags are laid out at a time: bounds memory at SLICE x (`most` + STRETCH) numbers, and stays in cache
STRETCH = 128  # likes after which the bag of a user is stored again
NOWHERE = -1


def whole_users(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Rows in which those of a user (user_id) follow one another, cut anew so that no user is in two tables; R rows each, 1 or more."""
    waiting: list[pa.RecordBatch] = []  # rows of one user, whose rows may continue in the next batch
    for batch in batches:
        if not len(batch):
            continue
        users = batch.column("user_id")
        tail = int(np.argmax(pc.equal(users, users[-1]).to_numpy(zero_copy_only=False)))
        if waiting and (tail or waiting[0].column("user_id")[0] != users[0]):
            # the first rows may still belong to the waiting user
            yield pa.Table.from_batches([*waiting, batch.slice(0, tail)])
            waiting = []
        elif tail:
            yield pa.Table.from_batches([batch.slice(0, tail)])
        waiting.append(batch.slice(tail))
    if waiting:
        yield pa.Table.from_batches(waiting)


@dataclass(frozen=True)
class HistoryBags:
    """A mapInArrow function: adds `history`, list<int32>, the rows of the items that the user liked in train; for rows of test those of
    validation too, where train knows the user.

    Batches hold user_id, user and item (int32 rows), label, timestamp, perhaps subsecond (null for 0), and split, sorted by user_id, the
    two times and item_id; no user spans two partitions. A bag holds an item once, at its latest like, and at most the `most` latest items,
    most recent last. The item of a train row is left out of that row's own bag.

    order: "others" takes every such like but the row's own, "before" only those at an earlier time than the row.
    """

    order: Literal["others", "before"]
    most: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in whole_users(batches):
            yield from self._with_bags(rows)

    def _with_bags(self, rows: pa.Table) -> Iterator[pa.RecordBatch]:
        """Whole users, with their bags."""
        rows = rows.combine_chunks()
        test = pc.equal(rows["split"], TEST).to_numpy()
        known = {
            one: self._reader(_Likes.of(rows, splits)) for one, splits in ((False, (TRAIN,)), (True, (TRAIN, VALID))) if (test == one).any()
        }
        for start in range(0, len(rows), SLICE):
            part = rows.slice(start, SLICE)
            places = np.arange(start, start + len(part))
            lengths, bags_of = np.zeros(len(part), np.int64), {}
            for one, bags in known.items():
                own = test[places] == one
                lengths[own], bags_of[one] = bags(places[own])
            values = np.empty(lengths.sum(), np.int64)
            for one, items in bags_of.items():
                values[np.repeat(test[places] == one, lengths)] = items
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            bags = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.astype(np.int32)))
            yield from part.append_column("history", bags).combine_chunks().to_batches()

    def _reader(self, likes: "_Likes") -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """What gives the bags of the rows at some places, out of these likes."""
        if self.order == "before" and likes.repeats:
            return partial(self._bags_of_repeats, likes, _Repeats.of(likes, self.most + 1))
        return partial(self._bags, likes)

    def _bags(self, likes: "_Likes", places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Length of the bag of each row at `places`, and the bags one after another."""
        user = likes.user[places]
        first, end = likes.starts[user], likes.starts[user + 1]
        if self.order == "before":
            end = first + likes.before[places]
        own = likes.own[places]
        own = np.where((own < end) & (own >= end - self.most) & likes.train[places], own, NOWHERE)
        begin = np.maximum(first, end - self.most - (own != NOWHERE))
        sizes = end - begin
        ends = np.cumsum(sizes)
        at = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes) + np.repeat(begin, sizes)
        others = at != np.repeat(own, sizes)
        return sizes - (own != NOWHERE), likes.items[at[others]]

    def _bags_of_repeats(self, likes: "_Likes", again: "_Repeats", places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`_bags` of "before" where users like an item more than once: its place in the bag then depends on the time."""
        begin, end = again.begin[places], again.end[places]
        sizes = end - begin
        ends = np.cumsum(sizes)
        owner = np.repeat(np.arange(len(places)), sizes)
        at = np.arange(len(owner)) - np.repeat(ends - sizes - begin, sizes)
        own = np.where(likes.train[places], likes.item[places], NOWHERE)
        # the latest like of its item before the row's time, and not the row's own item
        counted = (again.next[at] >= end[owner]) & (again.items[at] != own[owner])
        owner, at = owner[counted], at[counted]
        counts = np.bincount(owner, minlength=len(places))
        newest = np.cumsum(counts)[owner] - np.arange(len(owner)) <= self.most
        return np.minimum(counts, self.most), again.items[at[newest]]


class _Likes:
    """The likes of whole users in some splits, in order. R rows, L likes (one an item and user, its latest), U users."""

    user: np.ndarray  # [R] number of the row's user
    item: np.ndarray  # [R]
    train: np.ndarray  # [R] bool
    before: np.ndarray  # [R] likes of the row's user at an earlier time
    own: np.ndarray  # [R] place of the row's own item among the likes, or NOWHERE
    items: np.ndarray  # [L]
    starts: np.ndarray  # [U + 1] where a user's likes begin
    events: np.ndarray  # [E] rows that are likes, repeats too
    earlier: np.ndarray  # [R] events of the row's user at an earlier time
    repeats: bool  # whether a user liked an item more than once

    @classmethod
    def of(cls, rows: pa.Table, splits: tuple[str, ...]) -> "_Likes":
        likes = cls()
        ids = rows["user_id"].combine_chunks()
        likes.user = np.concatenate([[0], np.cumsum(pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False))]).astype(np.int64)
        likes.item, moment = rows["item"].to_numpy().astype(np.int64), rows["timestamp"].to_numpy()
        likes.train = pc.equal(rows["split"], TRAIN).to_numpy()
        held_out = pc.is_in(rows["split"], value_set=pa.array(splits)).to_numpy() & (rows["user"].to_numpy() > 0)
        liked = np.flatnonzero((likes.train | held_out) & (rows["label"].to_numpy() > 0) & (likes.item > 0))
        pair = likes.user * (likes.item.max(initial=0) + 1) + likes.item
        latest = np.sort(len(liked) - 1 - np.unique(pair[liked][::-1], return_index=True)[1])
        likes.repeats = len(latest) < len(liked)
        likes.events = liked
        latest_liked = liked[latest]
        likes.items = likes.item[latest_liked]
        likes.starts = np.searchsorted(likes.user[latest_liked], np.arange(likes.user[-1] + 2))
        ordered = np.argsort(pair[latest_liked], kind="stable")
        near = np.minimum(np.searchsorted(pair[latest_liked][ordered], pair), max(len(latest_liked) - 1, 0))
        match = pair[latest_liked][ordered][near] == pair if len(latest_liked) else np.zeros(len(pair), bool)
        likes.own = np.where(match, ordered[near] if len(latest_liked) else NOWHERE, NOWHERE)
        later = (np.diff(moment) != 0) | (np.diff(likes.user) != 0)
        if "subsecond" in rows.column_names:
            later |= np.diff(pc.fill_null(rows["subsecond"], 0).to_numpy()) != 0
        time = np.concatenate([[0], np.cumsum(later)])
        likes.before = np.searchsorted(time[latest_liked], time) - likes.starts[likes.user]
        likes.earlier = np.searchsorted(time[liked], time) - np.searchsorted(likes.user[liked], likes.user)
        return likes


class _Repeats:
    """The likes of users, repeats too, cut into stretches that each begin with the bag at that moment.

    So the bag before a row is in one stretch, however many likes came before it. R rows, X likes and entries of bags.
    """

    items: np.ndarray  # [X]
    next: np.ndarray  # [X] where the item is liked next in the same stretch; X when it is not
    begin: np.ndarray  # [R] where to look for the bag of a row …
    end: np.ndarray  # [R] … and where to stop

    @classmethod
    def of(cls, likes: _Likes, most: int) -> "_Repeats":
        """`most`: items of the bag that is stored where a stretch begins."""
        repeats = cls()
        items, users = likes.item[likes.events], likes.user[likes.events]
        counts = np.bincount(users, minlength=len(likes.starts) - 1)
        stretches = np.maximum(-(-counts // STRETCH), 1)
        first = np.cumsum(stretches) - stretches  # of each user
        event = np.arange(len(items)) - np.repeat(np.cumsum(counts) - counts, counts)  # number of a like among its user's
        stretch = first[users] + event // STRETCH
        bags = _bags_at_stretches(items, counts, stretches, most)
        lengths = np.array([len(bag) for bag in bags])
        sizes = lengths + np.bincount(stretch, minlength=len(bags))
        start = np.cumsum(sizes) - sizes
        repeats.items = np.empty(sizes.sum(), np.int64)
        own = start[stretch] + lengths[stretch] + event % STRETCH
        repeats.items[own] = items
        within = np.ones(len(repeats.items), bool)
        within[own] = False
        repeats.items[within] = np.concatenate(bags)
        repeats.next = _next_of_same(np.repeat(np.arange(len(bags)), sizes), repeats.items)
        last = np.maximum(likes.earlier - 1, 0)
        where = first[likes.user] + last // STRETCH
        repeats.begin = start[where]
        repeats.end = repeats.begin + lengths[where] + likes.earlier - last // STRETCH * STRETCH
        return repeats


def _bags_at_stretches(items: np.ndarray, counts: np.ndarray, stretches: np.ndarray, most: int) -> list[np.ndarray]:
    """The last `most` different items before each stretch, oldest first; one step per stretch, and none for users with one stretch."""
    bags = [np.zeros(0, np.int64)] * int(stretches.sum())
    starts, first = np.cumsum(counts) - counts, np.cumsum(stretches) - stretches
    for user in np.flatnonzero(stretches > 1).tolist():
        for k in range(1, int(stretches[user])):
            begin = int(starts[user]) + (k - 1) * STRETCH
            place = int(first[user]) + k
            newest_first = np.concatenate([bags[place - 1], items[begin : begin + STRETCH]])[::-1]
            latest = np.sort(np.unique(newest_first, return_index=True)[1])[:most]
            bags[place] = newest_first[latest][::-1]
    return bags


def _next_of_same(stretch: np.ndarray, items: np.ndarray) -> np.ndarray:
    """For each place the next one of the same stretch and item; the length of all where there is none."""
    order = np.lexsort((items, stretch))  # stable: equal ones stay in order
    same = (stretch[order][1:] == stretch[order][:-1]) & (items[order][1:] == items[order][:-1])
    following = np.full(len(items), len(items))
    following[order[:-1][same]] = order[1:][same]
    return following

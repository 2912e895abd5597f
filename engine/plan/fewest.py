"""The fewest devices whose memory is enough: by doubling from what arithmetic asks for at least, then by bisection."""

from collections.abc import Callable

from engine.plan.results import Fewest
from engine.plan.spec import MOST_RANKS, Fleet
from engine.preflight import size
from workers.training import NoPlanError, TablePlan


def sizes(of_host: int, most: int = MOST_RANKS) -> list[int]:
    """How many devices there may be: 1, 2, … of one host, then whole hosts."""
    return [*range(1, of_host + 1), *range(2 * of_host, most + 1, of_host)]


def fewest(plan: Callable[[int], TablePlan], fleet: Fleet, noun: str) -> Fewest:
    """Search the numbers of devices that such hosts make.

    Args:
        plan: for a number of devices; raises NoPlanError where they do not fit.
        noun: what a device is called.
    """
    choices, tried = sizes(fleet.devices), dict[int, NoPlanError | None]()

    def failure(place: int) -> NoPlanError | None:
        if place not in tried:
            try:
                plan(choices[place])
                tried[place] = None
            except NoPlanError as error:
                tried[place] = error
        return tried[place]

    first = failure(0)
    if first is None:
        return Fewest(devices=1, hosts=1)
    high, step = _least(first, choices), 1
    low = high - 1  # does not fit, by arithmetic
    while error := failure(high):
        if high == len(choices) - 1:
            why = f"Not even {choices[high]:,} of them are enough"  # with less memory than a device needs beside tables, more do not help
            return Fewest(devices=None, why=f"{why}." if error.left <= 0 else f"{why}: {why_not(error, choices[high], fleet, noun)}")
        low, high, step = high, min(high + step, len(choices) - 1), 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if failure(middle) is None else (middle, high)
    return Fewest(devices=choices[high], hosts=-(-choices[high] // fleet.devices), why=_why_fewer(tried.get(low) or first, choices[low]))


def _least(error: NoPlanError, choices: list[int]) -> int:
    """The place of the least number of devices, from the second on, that could hold all tables, were they cut at will."""
    if error.left <= 0:
        return len(choices) - 1
    wanted = -(-error.wanted // error.left)
    return next((place for place, count in enumerate(choices) if place and count >= wanted), len(choices) - 1)


def _why_fewer(error: NoPlanError, devices: int) -> str:
    """Why a number of devices is not enough."""
    have, noun = devices * error.left, "device has" if devices == 1 else "devices have"
    if have < error.wanted:
        return f"{devices:,} {noun} {size(have)} for tables that take {size(error.wanted)} with their optimizer."
    return f"On {devices:,} the parts of {size(error.wanted)} of tables do not go in beside what a step looks up."


def why_not(error: NoPlanError, devices: int, fleet: Fleet, noun: str) -> str:
    """Why tables do not fit, and what to change, in sentences."""
    memory, (name, largest), on_cpus = size(fleet.memory_bytes), error.largest, fleet.device == "cpu"
    if error.left <= 0:
        taken = "libraries" if on_cpus else "other weights, what stays free"
        ways = "a smaller embedding_dim" if on_cpus else "a smaller batch_size"
        return (
            f"a {noun} of {memory} has nothing left for its part of the tables: {taken} and a step take {size(error.reserved)}. "
            f"Plan for more memory, or choose {ways}."
        )
    have = f"the tables and their optimizer take {size(error.wanted)} and {devices:,} × {size(error.left)} are left of {memory} each"
    if error.wanted > devices * error.left:
        return f"{have}. Plan for more memory or more devices, or choose a smaller embedding_dim."
    if largest > error.left:
        ways = "row_wise" if on_cpus else "auto or row_wise"
        return f"{have}, but {name} alone takes {size(largest)} and is not cut. Choose train.sharding {ways}, or plan for more memory."
    return f"{have}, and the parts do not go in beside what a step looks up. Plan for more memory or more devices."

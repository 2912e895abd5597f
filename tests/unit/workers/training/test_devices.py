"""Which GPU each rank computes on: ranks on a host × devices that they see."""

import pytest

from workers.training.devices import Seen, choose

ALL = ("A", "B", "C", "D")


@pytest.mark.fault("F43")
@pytest.mark.parametrize("visible", range(5))
@pytest.mark.parametrize("ranks", range(1, 5))
def test_ranks_that_see_the_same_devices_take_one_each_or_none_starts(ranks: int, visible: int) -> None:
    """Beside the driver: TorchDistributor shows all of the run's devices to all ranks."""
    seen = [Seen("one", ALL[:visible])] * ranks
    if visible >= ranks:
        assert choose(seen) == list(range(ranks))
    else:
        with pytest.raises(ValueError, match=r"no GPU is visible here|each rank needs one of its own"):
            choose(seen)


@pytest.mark.parametrize("ranks", range(1, 5))
def test_barrier_tasks_with_a_device_each_all_call_it_the_first(ranks: int) -> None:
    assert choose([Seen("one", (ALL[rank],)) for rank in range(ranks)]) == [0] * ranks


def test_ranks_of_two_hosts_are_counted_on_each_host() -> None:
    """Devices of two hosts may have the same id where a container hides it; ranks of the hosts may come in any order."""
    seen = [Seen("one", ("A", "B")), Seen("two", ("A",)), Seen("one", ("A", "B"))]
    assert choose(seen) == [0, 0, 1]


def test_two_ranks_never_take_one_device() -> None:
    with pytest.raises(ValueError, match="Several ranks on one see the GPU B as theirs"):
        choose([Seen("one", ("B",)), Seen("one", ("B", "C"))])

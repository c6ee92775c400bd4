"""Results of batches come in their order, whatever the threads do, and no more batches are read than are worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.tables.ahead import MOST, map_ahead, threads


@settings(max_examples=50, deadline=None)
@given(items=st.lists(st.integers(), max_size=40), workers=st.integers(1, 5))
def test_results_are_those_of_map(items: list[int], workers: int) -> None:
    assert list(map_ahead(lambda item: item * 3, items, workers)) == [item * 3 for item in items]


def test_a_late_result_comes_before_earlier_ones_of_later_batches() -> None:
    second = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            second.wait()  # the first is done only after the second
        else:
            second.set()
        return item

    assert list(map_ahead(work, range(4), workers=2)) == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_few_batches_are_read_ahead(workers: int) -> None:
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        while read < 30:
            read += 1
            yield read

    for done, _ in enumerate(map_ahead(str, items(), workers), 1):
        assert read <= done + workers


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_in_the_place_of_its_result(workers: int) -> None:
    results = map_ahead(lambda item: 6 // item, [1, 2, 3, 0, 6], workers)
    assert [next(results), next(results), next(results)] == [6, 3, 2]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_of_the_batches_is_raised(workers: int) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(map_ahead(str, items(), workers))


def test_a_process_of_one_core_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= threads() <= MOST
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert threads() == 1
    assert list(map_ahead(lambda _: threading.current_thread() is threading.main_thread(), [0])) == [True]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(200)))
    assert threads() == MOST

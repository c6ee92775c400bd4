"""Learning and drawing elsewhere than on the host: nothing is mixed, nothing is waited for, and rows are the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

from synthvae.devices import find_device
from synthvae.errors import ConfigurationError
from synthvae.generation.drawing import one_behind

CASES = Path(__file__).with_name("device_cases.py")


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"), reason="torch has no such backends"
)
def test_a_device_does_what_the_host_does() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CASES.parents[1])
    assert run.returncode == 0, run.stdout


def test_items_come_in_their_order_each_after_the_next_is_begun() -> None:
    begun: list[int] = []
    seen = [(item, len(begun)) for item in one_behind(begun.append(i) or i for i in range(5))]  # type: ignore[func-returns-value]
    assert seen == [(0, 2), (1, 3), (2, 4), (3, 5), (4, 5)]
    assert list(one_behind([])) == []


@pytest.mark.parametrize("name", ["mps", "meta", "cuda:99", "nope"])
def test_a_device_that_cannot_compute_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`device` must be .*, got '{name}' \\(.*\\). Use") as caught:
        find_device(name)
    assert "\n" not in str(caught.value)

"""A GPU where there is none: a device of torch's own kind for other makers' backends, computed on the host.

What CUDA refuses is refused: an operation on tensors of two devices, a generator of another one, an array of a tensor
that is not on the host. All of torch above the kernels is as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar, Self

import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from synthvae.generation import drawing

NAME = "pretended"
ACROSS = ("aten::copy_", "aten::_to_copy")  # that copy from one device to the other
WAITING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::_unique2", "aten::equal", "aten::repeat_interleave")

HostGenerator = torch.Generator


class OnDevice(Tensor):
    """A tensor of the device, and the one of the host with which it is computed."""

    held: Tensor

    @staticmethod
    def __new__(cls: type[Self], held: Tensor) -> Self:
        """Make one of `held`."""
        kind, place = held.dtype, torch.device(f"{NAME}:0")
        made: Self = Tensor._make_wrapper_subclass(cls, held.shape, strides=held.stride(), dtype=kind, device=place)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, *_: Any, **__: Any) -> Any:
        """Compute nothing, unless the device is there."""
        return NotImplemented

    def tolist(self) -> Any:
        """Return its numbers, which torch does not fetch by itself of a class of ours."""
        return self.cpu().tolist()


class Generator(HostGenerator):
    """A generator of a device, which draws on the host."""

    places: ClassVar[dict[int, torch.device]] = {}  # by address: operations are handed a new object for the same one

    def __new__(cls, device: Any = "cpu") -> Self:
        """Make one."""
        made: Self = super().__new__(cls)
        cls.places[_address(made)] = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Whose it is."""
        return self.places[_address(self)]


def _address(generator: Any) -> int:
    return int(generator._cdata)


class Event:
    """What tells when all is done that was launched before."""

    def __init__(self, device: Device) -> None:
        self.device = device
        device.launched.append("event")

    def synchronize(self) -> None:
        """Wait for it."""
        self.device.launched.append("wait")


class Device(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What computes.

    Attributes:
        launched: The operations of the device, by name, and events and waits for them, in their order.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.launched: list[str] = []

    @property
    def waits(self) -> set[str]:
        """For what the host had to wait, but for events."""
        return set(self.launched) & {*WAITING, "fetch"}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the host what is asked of one device."""
        kwargs, name = dict(kwargs or {}), func._schema.name
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = any(isinstance(tensor, OnDevice) for tensor in tensors)
        asked = kwargs.get("device")
        there = here if asked is None else torch.device(asked).type == NAME
        _refuse(name, args, tensors, kwargs.get("generator"), there=there)
        if here:
            fetched = not isinstance(args[0], OnDevice) if name == "aten::copy_" else not there
            self.launched.append("fetch" if name in ACROSS and fetched and not kwargs.get("non_blocking") else name)
        if there and asked is not None:
            kwargs["device"] = torch.device("cpu")
        found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if name == "aten::copy_":
            return args[0]
        if not there or (name == "aten::_to_copy" and not here):
            return tree_map(_wrapped, found) if there else found
        if not here:
            return _each(found)
        return return_and_correct_aliasing(func, args, kwargs, tree_map(_wrapped, found))  # type: ignore[no-untyped-call]


def _each(found: Any) -> Any:
    return tree_map(_wrapped, found)


def _refuse(name: str, args: Any, tensors: list[Tensor], generator: Any, *, there: bool) -> None:
    """Refuse what CUDA does: numbers of the host, and places in a tensor, may be on the host."""
    if generator is not None and (Generator.places[_address(generator)].type == NAME) != there:
        raise RuntimeError(f"{name}: expected a generator of the tensor's device, but found one of another")
    if name in ACROSS:
        return
    places = tree_leaves(args[1]) if name.startswith("aten::index") and isinstance(args[0], OnDevice) else []
    compared = [t for t in tensors if all(t is not place for place in places)]
    on = {isinstance(t, OnDevice) for t in compared if isinstance(t, OnDevice) or t.ndim or "fused" in name}
    if len(on) > 1:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found two devices")


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnDevice) else value


def _wrapped(value: Any) -> Any:
    return OnDevice(value) if isinstance(value, Tensor) and not isinstance(value, OnDevice) else value


class Backend:
    """What `torch.pretended` is: the functions that torch asks of a backend."""

    current: Device
    states: tuple[str, ...] = ()

    def is_available(self) -> bool:
        """Whether there is one."""
        return True

    def is_initialized(self) -> bool:
        """Whether it was begun."""
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def device_count(self) -> int:
        """How many there are."""
        return 1

    def current_device(self) -> int:
        """Which one is used."""
        return 0

    def device(self, _: Any) -> Any:
        """Use one."""
        return nullcontext()

    def manual_seed(self, _: int) -> None:
        """Dropout is drawn on the host."""

    manual_seed_all = manual_seed

    def get_rng_state(self, _: Any) -> Tensor:
        """Where its global generator stands: nothing is drawn of it."""
        return torch.zeros(16, dtype=torch.uint8)

    def set_rng_state(self, _: Tensor, __: Any) -> None:
        """Set it."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """In which types autocast computes."""
        return [torch.bfloat16]

    def current_stream(self, _: Any) -> Backend:
        """What is launched, in its order."""
        return self

    def record_event(self) -> Event:
        """Return what tells when all is done."""
        return Event(self.current)


BACKEND = Backend()
# For as long as the process lives, and before its first gradient: autograd asks once how many devices there are.
backend_registration._setup_privateuseone_for_python_backend(NAME, BACKEND)


@contextmanager
def device() -> Iterator[Device]:
    """Let there be the device, as long as this lasts."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    with pytest.MonkeyPatch.context() as patch, Device() as found:
        patch.setattr(torch, "Generator", Generator)
        # In inference mode torch cannot make a view of a weight that is of a class of ours.
        patch.setattr(drawing, "draw_codes", inspect.unwrap(drawing.draw_codes))
        BACKEND.current = found
        try:
            yield found
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(before)

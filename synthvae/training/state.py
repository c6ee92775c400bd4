"""All that a step of training hangs on, as tensors and as what JSON can say, so that it can be kept and taken up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from synthvae.errors import ConfigurationError
from synthvae.training.batches import Batches
from synthvae.training.distributed import World
from synthvae.training.history import History, Record
from synthvae.training.loop import load

State = tuple[dict[str, Tensor], dict[str, Any]]


class Run(Protocol):
    """What there is of a run."""

    parameters: list[nn.Parameter]
    average: list[Tensor]
    best: list[Tensor]
    best_bound: float
    recent: list[tuple[Tensor, Tensor, Tensor]]
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    batches: Batches
    history: History
    done: int
    loss: float
    world: World


def saved(run: Run) -> State:
    """Return the state of a run between two steps, that of the global generators included."""
    tensors, page = run.batches.state()
    for kind, values in (("parameter", run.parameters), ("average", run.average), ("best", run.best)):
        tensors |= _numbered(kind, [value.detach() for value in values])
    for place, parameter in enumerate(_optimized(run)):
        of = run.optimizer.state.get(parameter, {})
        tensors |= {f"optimizer.{place}.{key}": torch.as_tensor(value) for key, value in of.items()}
    tensors |= _numbered("recent", [torch.stack(values) for values in run.recent])
    tensors |= {"generator": run.generator.get_state(), "global": torch.get_rng_state()}
    device = run.generator.device
    if device.type != "cpu":
        tensors["device"] = torch.get_device_module(device).get_rng_state(device)
    page |= {"done": run.done, "best_bound": run.best_bound, "loss": run.loss, "history": asdict(run.history)}
    page["by"] = _by(run)
    return tensors, page


def _by(run: Run) -> str:
    return f"{run.world.size} process(es) on {run.generator.device.type}"


def restore(run: Run, state: State) -> None:
    """Set a run, which was made as the one that was saved, to a state; but for the global generators, see `wake`.

    Raises:
        ConfigurationError: The state is of another number of processes, or of another kind of device.
    """
    tensors, page = state
    if page["by"] != _by(run):
        raise ConfigurationError(
            f"a fit is taken up as it was begun, by {page['by']}, however, it is {_by(run)} now: repeat it so, or "
            "remove what was kept"
        )
    run.batches.resume(tensors, page)
    load(run.parameters, _listed("parameter", tensors, run.parameters))
    run.average, run.best = (_listed(kind, tensors, run.parameters) for kind in ("average", "best"))
    for place, parameter in enumerate(_optimized(run)):
        start = f"optimizer.{place}."
        of = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
        if of:  # a fused optimiser counts its steps where the parameter is
            run.optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in of.items()}
    count = sum(name.startswith("recent.") for name in tensors)
    run.recent = [tuple(tensors[f"recent.{i:06}"].to(run.parameters[0].device)) for i in range(count)]
    run.generator.set_state(tensors["generator"])
    run.done, run.best_bound, run.loss = int(page["done"]), float(page["best_bound"]), float(page["loss"])
    told = page["history"]
    run.history = History(**{**told, "records": [Record(**record) for record in told["records"]]})


def wake(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the global generators, of which dropout draws on a device."""
    torch.set_rng_state(tensors["global"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(tensors["device"], device)


def _optimized(run: Run) -> list[nn.Parameter]:
    return [parameter for group in run.optimizer.param_groups for parameter in group["params"]]


def _numbered(kind: str, values: Iterable[Tensor]) -> dict[str, Tensor]:
    return {f"{kind}.{place:06}": value for place, value in enumerate(values)}


def _listed(kind: str, tensors: Mapping[str, Tensor], like: list[nn.Parameter]) -> list[Tensor]:
    return [tensors[f"{kind}.{place:06}"].to(parameter.device) for place, parameter in enumerate(like)]

"""The state of training: all that the next step depends on, so that an interrupted fit can be resumed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from synthvae.training.checkpoint import Snapshot
from synthvae.training.history import History, Record
from synthvae.training.optimizer import Optimizer

LossTerms = tuple[Tensor, Tensor, Tensor]
"""The loss, the reconstruction and the KL of a batch, in nats per row."""


@dataclass
class TrainingState:
    """What changes from one step of training to the next.

    Args:
        parameters: The parameters that are trained.
        optimizer: Their optimiser.

    Attributes:
        average: The moving average of the parameters.
        best: The averaged parameters of the best validation step so far.
        best_bound: The validation bound of that step, in nats per row.
        recent: The terms of the loss of each step since the last validation step.
        done: The number of steps taken.
        loss: The loss of the last step, in nats per row.
        history: The validation steps so far.
    """

    parameters: list[nn.Parameter]
    optimizer: Optimizer
    average: list[Tensor] = field(init=False)
    best: list[Tensor] = field(init=False)
    best_bound: float = -math.inf
    recent: list[LossTerms] = field(default_factory=list)
    done: int = 0
    loss: float = math.nan
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.average, self.best = self.values(), self.values()

    def values(self) -> list[Tensor]:
        """Return a copy of the parameters' values."""
        return copied(self.parameters)

    @torch.no_grad()
    def load(self, values: list[Tensor]) -> None:
        """Set the parameters to `values`."""
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Set the parameters to their moving average while the context is entered."""
        live = self.values()
        self.load(self.average)
        yield
        self.load(live)

    def load_best(self) -> None:
        """Set the parameters to the best ones, or to their average if there was no validation step yet."""
        self.load(self.best if self.history.best_step else self.average)

    def snapshot(self) -> Snapshot:
        """Return the state between two steps."""
        tensors: dict[str, Tensor] = {}
        for kind, values in (("parameter", self.values()), ("average", self.average), ("best", self.best)):
            tensors |= _numbered(kind, values)
        for place, parameter in enumerate(self._optimized()):
            of = self.optimizer.state.get(parameter, {})
            tensors |= {f"optimizer.{place}.{key}": torch.as_tensor(value) for key, value in of.items()}
        tensors |= _numbered("recent", [torch.stack(terms) for terms in self.recent])
        history = asdict(self.history)
        numbers = {"done": self.done, "best_bound": self.best_bound, "loss": self.loss}
        return Snapshot(tensors, {**numbers, "history": history})

    def restore(self, snapshot: Snapshot) -> None:
        """Set the state to a snapshot of a state with the same parameters."""
        tensors, values = snapshot.tensors, snapshot.values
        self.load(self._listed("parameter", tensors))
        self.average, self.best = self._listed("average", tensors), self._listed("best", tensors)
        for place, parameter in enumerate(self._optimized()):
            start = f"optimizer.{place}."
            of = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
            if of:  # a fused optimiser counts its steps on the parameter's device
                self.optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in of.items()}
        count = sum(name.startswith("recent.") for name in tensors)
        self.recent = [tuple(tensors[f"recent.{i:06}"].to(self.parameters[0].device)) for i in range(count)]
        self.done, self.best_bound, self.loss = int(values["done"]), float(values["best_bound"]), float(values["loss"])
        records = [Record(**record) for record in values["history"]["records"]]
        self.history = History(**{**values["history"], "records": records})

    def _optimized(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _listed(self, kind: str, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        return [tensors[f"{kind}.{place:06}"].to(like.device) for place, like in enumerate(self.parameters)]


def copied(values: Iterable[Tensor]) -> list[Tensor]:
    """Return copies of tensors, without gradients."""
    return [value.detach().clone() for value in values]


def _numbered(kind: str, values: Iterable[Tensor]) -> dict[str, Tensor]:
    return {f"{kind}.{place:06}": value for place, value in enumerate(values)}


def generator_states(generator: torch.Generator, dropout: torch.Generator) -> Snapshot:
    """Return the states of the generator of batches and noise, and of that of dropout."""
    return Snapshot({"generator": generator.get_state(), "dropout": dropout.get_state()})


def restore_dropout(snapshot: Snapshot, dropout: torch.Generator) -> None:
    """Set the generator of dropout to a snapshot; before it had its own, dropout drew from the global ones."""
    former = "global" if dropout.device.type == "cpu" else "device"
    tensors = snapshot.tensors
    dropout.set_state(tensors["dropout"] if "dropout" in tensors else tensors[former])

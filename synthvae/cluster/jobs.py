"""What several processes of a cluster do together to one model: how it goes there and comes back."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from synthvae import errors, filesystem
from synthvae.codes import Slots, Value
from synthvae.errors import ClusterError, SynthvaeError
from synthvae.model import CVAE, ModelConfig
from synthvae.training.history import History, Record

MOST_FAILURES = 3  # of a job, of which each is taken up from what was kept
START, LEARNED, REFUSED = "start.safetensors", "learned.safetensors", "refused.json"

Job = dict[str, Any]
Act = Callable[[CVAE, Path, Job], History]
"""What each process does to the model: it gets the folder that all see, and what else the job says."""


def train_there(act: Act, model: CVAE, folder: Path, job: Job, workers: int) -> History:
    """Have processes of the cluster train a model; it ends with the weights of the first one, in evaluation mode.

    Args:
        act: What each of them does, in a process group of torch.
        model: The model, as all of them start.
        folder: One that all nodes see.
        job: What JSON can say of what is to be done.
        workers: How many processes.

    Raises:
        ClusterError: Processes failed again and again.
        SynthvaeError: What one of them refused.
    """
    whole = {"folder": str(folder.resolve()), "model": _facts(model), "job": job}
    folder.mkdir(parents=True, exist_ok=True)
    for left in (LEARNED, REFUSED):
        (folder / left).unlink(missing_ok=True)
    filesystem.write(folder / START, _saved(model))
    _run(lambda told: _act(act, told), whole, folder / "ray", workers)
    return _taken(model, folder / LEARNED)


def _run(each: Callable[[Job], None], job: Job, place: Path, workers: int) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    failures = FailureConfig(max_failures=MOST_FAILURES)
    run = RunConfig(name="fit", storage_path=str(place.resolve()), failure_config=failures)
    scaling = ScalingConfig(num_workers=workers, use_gpu=False)
    try:
        with _own_interrupts():
            TorchTrainer(each, train_loop_config=job, scaling_config=scaling, run_config=run).fit()
    except Exception as error:
        _raise_refusal(place.parent)
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise ClusterError(
            f"training on a cluster failed ({reason}): repeat the fit, with `--resume` in the shell"
        ) from error


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Ray Train leaves a handler of Ctrl-C behind, which ends this process as if all were well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGINT, before)


def _raise_refusal(folder: Path) -> None:
    """Raise what a process refused, as it would have been raised here."""
    if (folder / REFUSED).exists():
        told = json.loads((folder / REFUSED).read_text(encoding="utf-8"))
        raise getattr(errors, told["error"])(told["message"])


def _act(act: Act, whole: Job) -> None:
    """What each process does."""
    import ray.train

    folder = Path(whole["folder"])
    if not folder.exists():
        raise ClusterError(f"all nodes must see one folder, however, {folder} is not on {os.uname().nodename}")
    model = _rebuilt(whole["model"], folder / START)
    try:
        history = act(model, folder, whole["job"])
    except SynthvaeError as error:
        told = {"error": type(error).__name__, "message": str(error)}
        filesystem.write(folder / REFUSED, json.dumps(told).encode())
        raise
    if ray.train.get_context().get_world_rank() == 0:
        filesystem.write(folder / LEARNED, _saved(model, history=json.dumps(asdict(history))))
    ray.train.report({})


def _facts(model: CVAE) -> Job:
    config = model.config.model_dump(mode="json")
    return {"slots": asdict(model.decoder.slots), "conditions": model.conditions, "config": config}


def _rebuilt(facts: Job, weights: Path) -> CVAE:
    slots = facts["slots"]
    values = tuple(Value(*value) for value in slots["values"])
    shape = Slots(tuple(slots["sizes"]), values, tuple(slots["coarser"]))
    model = CVAE(shape, facts["conditions"], ModelConfig(**facts["config"]))
    model.load_state_dict(safetensors.torch.load_file(weights))
    return model


def _saved(model: CVAE, **told: str) -> bytes:
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    return safetensors.torch.save(weights, metadata=told)


def _taken(model: CVAE, path: Path) -> History:
    """Load what was learned into a model."""
    with safetensors.safe_open(path, "pt") as file:
        told = json.loads(file.metadata()["history"])
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (no mapping)
    model.eval()
    return History(**{**told, "records": [Record(**record) for record in told["records"]]})

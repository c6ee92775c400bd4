"""Training jobs on a Ray cluster: how a model is sent to its processes and comes back."""

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

from synthvae import errors
from synthvae.codes import Slots, Value
from synthvae.errors import ClusterError, SynthvaeError
from synthvae.filesystem import Folder
from synthvae.model import CVAE, ModelConfig
from synthvae.model.build import build
from synthvae.training.history import History, Record

MOST_FAILURES = 3  # of a job, which continues from its last checkpoint after each
START, RESULT, ERROR = "start.safetensors", "result.safetensors", "error.json"

Job = dict[str, Any]
Work = Callable[[CVAE, Path, Job], History]
"""Trains the model in one process, given the shared folder and the description of the job."""


def train_on_cluster(work: Work, model: CVAE, folder: Path, job: Job, workers: int) -> History:
    """Train a model in processes of the cluster; it gets the weights of the first process, in evaluation mode.

    Args:
        work: Runs in each process, which is a member of torch's default process group.
        model: The model with its initial weights.
        folder: A folder that all nodes share.
        job: The description of the job, as JSON.
        workers: The number of processes.

    Raises:
        ClusterError: Processes failed repeatedly.
        SynthvaeError: An error of this kind in one of the processes.
    """
    whole = {"folder": str(folder.resolve()), "model": _describe(model), "job": job}
    folder.mkdir(parents=True, exist_ok=True)
    for old in (RESULT, ERROR):
        (folder / old).unlink(missing_ok=True)
    Folder(folder, private=True).write(START, _serialise(model))
    _run(lambda config: _work(work, config), whole, folder / "ray", workers)
    return _load_result(model, folder / RESULT)


def _run(each: Callable[[Job], None], job: Job, place: Path, workers: int) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    failures = FailureConfig(max_failures=MOST_FAILURES)
    run = RunConfig(name="fit", storage_path=str(place.resolve()), failure_config=failures)
    scaling = ScalingConfig(num_workers=workers, use_gpu=False)
    try:
        with _retained_interrupts():
            TorchTrainer(each, train_loop_config=job, scaling_config=scaling, run_config=run).fit()
    except Exception as error:
        _raise_error_of_worker(place.parent)
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise ClusterError(
            f"Training on the cluster failed ({reason}). Repeat the fit; on the command line, with `--resume`."
        ) from error


@contextmanager
def _retained_interrupts() -> Iterator[None]:
    """Restore the handler of Ctrl-C, which Ray Train replaces by one that ends this process without an error."""
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


def _raise_error_of_worker(folder: Path) -> None:
    """Raise the error of synthvae that a process reported, if any."""
    if (folder / ERROR).exists():
        reported = json.loads((folder / ERROR).read_text(encoding="utf-8"))
        raise getattr(errors, reported["error"])(reported["message"])


def _work(work: Work, whole: Job) -> None:
    """Run the work of one process, and report its result or error through the shared folder."""
    import ray.train

    folder = Path(whole["folder"])
    if not folder.exists():
        raise ClusterError(f"All nodes must share a folder, and {folder} is not on {os.uname().nodename}.")
    model = _restore(whole["model"], folder / START)
    try:
        history = work(model, folder, whole["job"])
    except SynthvaeError as error:
        report = {"error": type(error).__name__, "message": str(error)}
        Folder(folder, private=True).write(ERROR, json.dumps(report).encode())
        raise
    if ray.train.get_context().get_world_rank() == 0:
        content = _serialise(model, history=json.dumps(asdict(history)))
        Folder(folder, private=True).write(RESULT, content)
    ray.train.report({})


def _describe(model: CVAE) -> Job:
    config = model.config.model_dump(mode="json")
    return {"slots": asdict(model.decoder.slots), "conditions": model.conditions, "config": config}


def _restore(description: Job, weights: Path) -> CVAE:
    slots = description["slots"]
    values = tuple(Value(*value) for value in slots["values"])
    shape = Slots(tuple(slots["sizes"]), values, tuple(slots["coarser"]))
    model = build(shape, description["conditions"], ModelConfig(**description["config"]), 0)
    model.load_state_dict(safetensors.torch.load_file(weights))
    return model


def _serialise(model: CVAE, **metadata: str) -> bytes:
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    return safetensors.torch.save(weights, metadata=metadata)


def _load_result(model: CVAE, path: Path) -> History:
    """Load the trained weights into a model."""
    with safetensors.safe_open(path, "pt") as file:
        history = json.loads(file.metadata()["history"])
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (no mapping)
    model.eval()
    return History(**{**history, "records": [Record(**record) for record in history["records"]]})

"""Track training: a callback, a folder for TensorBoard, MLflow and Weights & Biases where they are installed.

A callback is any function of a `Record`. Its `metrics` are numbers by name, in nats per row, as trackers accept them.
Two lines connect a tracker:

    mlflow.set_experiment("wine")
    Synthesizer(callbacks=lambda record: mlflow.log_metrics(record.metrics, step=record.step))

    run = wandb.init(project="wine")
    Synthesizer(callbacks=lambda record: run.log(record.metrics, step=record.step))

`tensorboard --logdir runs` shows what `log_dir` writes; `runs/first/history.csv` has the same numbers.
"""

import importlib
import importlib.util

import pandas as pd
from sklearn.datasets import load_wine

from synthvae import Synthesizer
from synthvae.training.history import Callback, Record

MEMORISED = 20.0  # nats


def show(record: Record) -> None:
    print(f"step {record.step:>4}  held-out ELBO {record.metrics['held_out']:8.3f}  KL {record.kl:6.3f}")


def memorises(record: Record) -> bool:
    """Return whether to stop: training rows are far more likely than held-out rows. The best weights are retained."""
    return record.metrics["elbo"] - record.metrics["held_out"] > MEMORISED


def main() -> None:
    callbacks: list[Callback] = [show, memorises]
    if importlib.util.find_spec("mlflow"):
        mlflow = importlib.import_module("mlflow")
        callbacks.append(lambda record: mlflow.log_metrics(record.metrics, step=record.step))
    wine = load_wine(as_frame=True).frame
    synthesizer = Synthesizer(
        target="target", max_steps=200, callbacks=callbacks, log_dir="runs/first", random_state=0
    ).fit(wine)
    print(f"weights of step {synthesizer.history_.best_step}")
    print(pd.read_csv("runs/first/history.csv").tail(3).round(2).to_string(index=False))


if __name__ == "__main__":
    main()

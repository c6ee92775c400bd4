"""The parameters of a synthesizer, documented once: docstrings of estimators and the JSON schema of recipes follow."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from typing import TypeVar

MEASURED = "private"  # value of `schema`: it is measured with a part of the privacy budget

GROUPS: dict[str, dict[str, str]] = {
    "essentials": {
        "target": "Column to condition on: its classes, or the quantile bins of a continuous column. None: the model "
        "is unconditional.",
        "duration": "Column of the time until an event, or until the end of the observation (censoring). It is drawn "
        "right after the event, and all other columns given both. It is a number of at least 0. None: the column of "
        "`kind: duration` of the schema, if there is one.",
        "event": "Column that tells whether the event of `duration` was observed, or which one of several (competing "
        "risks). Without a target, rows are conditioned on it as on a target: its shares are exact, and rows can be "
        "requested by event. None: that of the duration of the schema.",
        "conditions": "Whether to learn the distribution of any columns given any others, too, by a network of its "
        "own: `sample(given=...)`, `impute`, `predict` of any column need it. It takes about twice the time of the "
        "fit, and leaves rows without conditions as they are.",
        "schema": "A `Schema` or the path of one in YAML, which may name some columns only, None to infer all, or "
        f'"{MEASURED}" to measure it with a part of the privacy budget.',
        "privacy": "A `PrivacyBudget`, or a mapping of its fields: the differential privacy of everything that `fit` "
        'reveals. It needs a declared schema, or schema="private". None: training without differential privacy.',
        "unit": "Column that identifies subjects, such as patients, who have several rows. Its values are generated "
        "anew, and `protect` counts subjects instead of rows. None: each row is a subject. Under a privacy budget its "
        "own `unit` counts.",
        "broken_rows": "What a fit does with rows that break a rule between columns, or the declared bounds of a "
        'column: "refuse" raises an error that counts the rows that break rules; "repair" computes columns anew that '
        "rules compute, empties the cells of which one must be wrong where their column allows missing values, and "
        "leaves out rows that break a rule even then; a warning counts them. Under a privacy budget nothing is counted "
        "and no row is refused, since both would reveal something about it.",
        "protect": "Without a privacy budget: the smallest number of subjects of a value. A category of fewer becomes "
        "the declared `other_category`, its neighbour if categories are ordered, or that of another row; numbers and "
        "dates end where so many subjects lie at or beyond. Classes of the target and pixels are exempt. 0: none "
        "is protected.",
        "weights": "Column of survey weights, numbers of at least 0: synthetic rows are drawn as from the table in "
        "which each row occurs as often as it weighs. The column is neither modelled nor generated; rows of weight 0 "
        "are not used. None: all rows weigh the same. Not with a privacy budget.",
        "effort": 'How much a fit may cost: "fast" (a third to two thirds of the time of the default), "balanced", or '
        '"thorough" (1.2 to 2 times the time, for columns that depend on many others). It sets the width of the '
        "networks, the units of the decoder, the steps, the learning rate and the weight decay by the number of rows; "
        'what other parameters state wins. Under a privacy budget only "balanced", since the number of rows is not '
        "public.",
        "max_steps": "Largest number of optimiser steps. None: chosen by the number of rows, 1000 for 30,000 rows and "
        "at most 1600 for fewer. Under a privacy budget the exact number of steps, by default 300.",
        "device": '"auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...',
        "verbose": "Whether to show progress on stderr.",
        "random_state": "Seed of all random draws. Noise for differential privacy never depends on it.",
    },
    "privacy": {
        "strategy": 'How a privacy budget is spent: "gradients" (noisy marginals of single columns, and noisy '
        'gradients of a decoder), "tables" (noisy marginals of single columns and pairs, no gradients), or "auto", '
        "which chooses by epsilon, rows and columns.",
        "journal": "Folder in which a fit stores what it needs to resume: the codes of a table that is too large for "
        "memory, and a training checkpoint once a minute. An interrupted fit that is repeated with the same table, "
        "parameters and seed continues there and gives the same model. A private fit stores its measurements, so that "
        "the budget is not spent twice. Remove the folder once the model is saved. None: nothing is stored.",
    },
    "training": {
        "batch_size": "Rows per step. None: 256, or 64 below 2048 rows; 512 where there are more and the decoder is "
        'not "autoregressive". Under a privacy budget the expected number of rows, by default 4096.',
        "learning_rate": "Peak learning rate. None: 0.006 below 2048 rows, up to 0.01 for 6,000 rows and more; 0.003 "
        'where the decoder is not "autoregressive"; 0.03 under a privacy budget.',
        "validation_fraction": "Share of the rows that is held out for early stopping. None: 0.1; below 2048 rows 0.2, "
        "and the model is then trained on all rows for as many steps.",
        "precision": "Floating-point type of the networks while gradients are computed: "
        '"float32", or "bfloat16" (torch\'s autocast) for processors that multiply such numbers faster. Everything '
        'else is "float32". A private fit accepts "float32" only.',
    },
    "callbacks": {
        "callbacks": "A function, or several, called at each validation step with its "
        "`synthvae.training.history.Record` (step, loss, reconstruction, KL and held-out ELBO in nats per row; "
        "`metrics` as a mapping). `history_` holds the same records. Training stops early if a callback returns True. "
        "An exception in a callback ends the fit; KeyboardInterrupt stops training and retains the best weights so "
        "far. A private fit reports the step alone, every 25 steps, without a loss, and ignores what callbacks return. "
        "Callbacks are neither copied nor saved.",
        "log_dir": "Folder that gets `history.csv`, a line per validation step, while training runs, and events for "
        "TensorBoard if the extra `synthvae[tensorboard]` is installed. Each fit needs a folder of its own.",
    },
    "model": {
        "latent_dim": "Dimensions of the latent z.",
        "width": 'Hidden units of encoder and decoder. None: as `effort` says, 128 with "balanced".',
        "dropout": "Dropout probability in training. None: 0.1 below 2048 rows, otherwise 0; 0 for pixels.",
        "decoder": '"autoregressive" (each column given the columns before it), "factorized" (columns independent '
        'given z) or, with likelihood="gaussian" or "bernoulli", "linear" (no hidden layer: factor analysis).',
        "order": 'Order of the columns in the decoder: "information" (each column after one that carries much '
        'information on it), "table", "auto" ("information" if most columns are continuous), or a sequence of all '
        "column names, without a target of classes.",
        "prior": '"standard_normal" (encoder and decoder are conditional on the class), "class_normal" (only the prior '
        'is: one normal per class), "mixture" (of normals, trained with the model) or "vamp" (a mixture of the '
        "posteriors of trained pseudo-inputs). Each class has its own weights of the components of a mixture.",
        "components": "Components of a mixture prior. None: 16, or 100 for pixels.",
        "posterior": '"normal", or "point": an autoencoder, whose code is a point. It has no KL term and no prior; '
        "`sample` draws from a mixture of normals that is fitted to the codes after training.",
        "likelihood": 'Likelihood of the columns: "auto" (categorical, or a mixture of normals, by column kind), '
        '"bernoulli" (numbers in [0, 1]: black and white pixels are drawn, grey pixels are means) or "gaussian" '
        "(numbers around a mean). The last two are for pixels and similar data: all columns except a target of classes "
        "must be numbers without missing values, and are independent given z and the class, even with "
        'decoder="autoregressive".',
        "variance": 'Variance of a "gaussian" likelihood; a fixed variance means least squares. None: one per column, '
        "trained with the model.",
        "image_shape": "Height and width of the image that the columns form, row by row: the networks are "
        "convolutional. None: no image.",
        "beta": "Weight of the KL term. None: 1, or 0.05 for grey pixels with a Bernoulli likelihood.",
        "free_bits": "Nats of information per latent dimension, summed over dimensions, that the KL term does not "
        "penalise, so that z stays informative.",
        "warm_up": "Share of the steps over which the weight of the KL term rises from 0.",
        "corruption": "Share of the cells that is masked in the input of the encoder in training, drawn anew in each "
        "step, while whole rows are reconstructed: a denoising autoencoder.",
    },
}
"""Descriptions of the constructor's parameters by group, in the order of the constructor."""

PARAMETERS: dict[str, str] = {name: text for group in GROUPS.values() for name, text in group.items()}

_PLACE = re.compile(r"^( +)\{([a-z_, \n]+)\}$", re.MULTILINE)
_LINE = 120

Documented = TypeVar("Documented", bound=type)


def documented(**texts: str) -> Callable[[Documented], Documented]:
    """Return a class decorator that fills in the parameters which a docstring names as `{first, second}`.

    Args:
        **texts: Descriptions of parameters that `PARAMETERS` does not have, or has otherwise.
    """
    known = {**PARAMETERS, **texts}

    def fill(kind: Documented) -> Documented:
        if kind.__doc__:  # absent under `python -OO`
            kind.__doc__ = _PLACE.sub(lambda place: _entries(place, known), kind.__doc__)
        return kind

    return fill


def _entries(place: re.Match[str], texts: Mapping[str, str]) -> str:
    """The entries of an `Args:` section in the place of names."""
    indent = place[1]
    wrapper = textwrap.TextWrapper(_LINE, initial_indent=indent, subsequent_indent=f"{indent}    ")
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    names = [name.strip() for name in place[2].split(",")]
    return "\n".join(wrapper.fill(f"{name}: {texts[name]}") for name in names)

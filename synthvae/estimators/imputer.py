"""Imputation of missing values by the distribution of any columns given any others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from synthvae.errors import ConfigurationError, TableError, listing, warn_user
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer import conditional_tables
from synthvae.synthesizer.conditional_coding import Draws
from synthvae.synthesizer.conditional_model import ConditionalModel
from synthvae.synthesizer.fitting import fit_conditional_features
from synthvae.synthesizer.imputation import IMPUTED, completed, random_weights
from synthvae.synthesizer.parameters import documented
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables import convert
from synthvae.tables.features import is_array, read_features
from synthvae.training.config import EffortName

Mask = npt.NDArray[np.bool_]
DRAWN_ROWS = 1 << 16  # that are held at once

OWN = ("sample_posterior", "n_draws", "proper", "add_indicator")  # parameters that are not those of the synthesizer


@documented(
    sample_posterior="Whether a missing value is one draw given the present values of its row, as multiple imputation "
    "needs. False: a summary of `n_draws` draws, which predicts single values better, but has too little spread.",
    n_draws="Draws of each missing value that `transform` summarises by the mean of numbers (rounded if the dtype "
    "holds whole numbers only), the median of dates, times and decimals, and the most frequent one of other values. "
    "Not used with `sample_posterior`.",
    proper="Whether the rows have random weights in the fit (a Bayesian bootstrap), so that imputers with different "
    "seeds differ as those of other samples would. Multiple imputation needs it, with `sample_posterior`.",
    add_indicator="Whether to append a column `missingindicator_NAME` for each feature with missing values in `fit`.",
    width='Hidden units of the network. None: as `effort` says, 128 with "balanced".',
    learning_rate="Peak learning rate. None: 0.006 below 2048 rows, up to 0.01 for 6,000 rows and more.",
    batch_size="Rows per step. None: 256, or 64 below 2048 rows.",
    max_steps="Largest number of optimiser steps. None: chosen by the number of rows, 1600 for 30,000 rows; for few "
    "rows those of 120 epochs, but at least 200.",
    dropout="Dropout probability in training. None: 0.1 below 2048 rows, otherwise 0.",
    random_state="Seed of all random draws, in `fit` and in `transform`.",
)
class VAEImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Imputer of missing values of numbers, strings, categories, booleans and timestamps.

    One network learns the distribution of any columns given any others from rows that may have missing values
    themselves; no model of whole rows is fitted. Missing values are drawn jointly, given the present values of their
    row, and lie within the range of the training values. They are assumed to be missing at random. Where one value
    determines or limits another in all rows of `fit` that have both, imputed values agree with it: a code and its name,
    equal columns, the order of two numbers or dates; see `synthvae.schema.FixedCombinations`, `If` and `Inequality`.
    Present values never change; a category that did not occur in training is kept, and is not used to draw other
    columns.

    `transform` uses the random numbers of `fit`, so that it returns the same values for the same X; those of a row
    depend on the other rows of X. For multiple imputation fit several imputers with `sample_posterior=True`,
    `proper=True` and different seeds, or use `Synthesizer(conditions=True)` and its method
    `impute(table, draws=m, proper=True)`. Sentinel values are present, and none is drawn. A feature without
    any value in `fit` is dropped, with a warning, as by scikit-learn's imputers.

    Args:
        {sample_posterior, n_draws, proper, add_indicator, effort, max_steps, device, verbose, random_state}
        {batch_size, learning_rate, validation_fraction}
        {width, dropout}

    Attributes:
        model_: The fitted `ConditionalModel`; `model_.history` is its training history.
        n_features_in_, feature_names_in_: Number and, for a table, names of the columns.

    Example:
        >>> import numpy as np
        >>> from sklearn.datasets import load_wine
        >>> X, _ = load_wine(return_X_y=True)
        >>> X[::3, 0] = np.nan
        >>> filled = VAEImputer(max_steps=50, random_state=0).fit_transform(X)
        >>> filled.shape, bool(np.isnan(filled).any())
        ((178, 13), False)
    """

    model_: ConditionalModel
    _seed: int
    _names: list[str]  # of the columns of `fit`
    _empty: list[str]  # those without any value
    _indicated: list[str]  # those with missing values

    def __init__(
        self,
        *,
        sample_posterior: bool = False,
        n_draws: int = 20,
        proper: bool = False,
        add_indicator: bool = False,
        effort: EffortName = "balanced",
        max_steps: int | None = None,
        device: str = "auto",
        verbose: bool = False,
        random_state: Seed = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float | None = None,
        width: int | None = None,
        dropout: float | None = None,
    ) -> None:
        self.sample_posterior, self.n_draws = sample_posterior, n_draws
        self.proper, self.add_indicator = proper, add_indicator
        self.effort, self.max_steps = effort, max_steps
        self.device, self.verbose, self.random_state = device, verbose, random_state
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.validation_fraction = validation_fraction
        self.width, self.dropout = width, dropout

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to X (rows, columns), an array or a table, with or without missing values.

        Args:
            X: The rows.
            y: Ignored; exists for compatibility with scikit-learn.

        Raises:
            ConfigurationError: A parameter is outside its domain.
            TableError: A model cannot be fitted to X; the message names the column.
        """
        del y
        if isinstance(self.n_draws, bool) or not isinstance(self.n_draws, Integral) or self.n_draws < 1:
            raise ConfigurationError(f"`n_draws` must be an integer of at least 1, got {self.n_draws!r}.")
        table = read_features(self, X, reset=True)
        missing = {name: table.column(name).null_count for name in table.column_names}
        empty = [name for name, count in missing.items() if count == table.num_rows]
        if len(empty) == table.num_columns:
            raise TableError("X must have a value in some column, got missing values only. Drop these columns.")
        if empty:
            warn_user(f"columns {listing(empty)} have no value to learn from. They are dropped from what is returned.")
        own = {name: value for name, value in self.get_params(deep=False).items() if name not in OWN}
        self._seed = as_seed(self.random_state)
        own |= {"random_state": self._seed, "protect": 0}
        weights = random_weights(table.num_rows, self._seed) if self.proper else None
        self.model_ = fit_conditional_features(Synthesizer(**own), table.drop_columns(empty), weights)
        self._names, self._empty = table.column_names, empty
        self._indicated = [name for name, count in missing.items() if count]
        return self

    def transform(self, X: Any) -> Any:
        """Return X with its missing values imputed: an array for arrays, otherwise a DataFrame with the dtypes of X.

        Args:
            X: The rows; the columns of a table may be in any order, those of the result are in that of `fit`.

        Raises:
            TableError: A column is absent or unknown.
            RequestError: A value has another type than in training.
        """
        check_is_fitted(self)
        table = read_features(self, X, reset=False)
        gaps = {name: table.column(name).is_null().to_numpy() for name in table.column_names}
        imputed = self._imputed(table.drop_columns(self._empty), gaps)
        if is_array(X):
            return self._array(np.asarray(X), imputed, gaps)
        frame = X if isinstance(X, pd.DataFrame) else convert.to_pandas(convert.read(X))
        return self._frame(frame, imputed, gaps)

    def _imputed(self, table: pa.Table, gaps: Mapping[str, Mask]) -> dict[str, pd.Series[Any]]:
        """The values of the missing cells of each column that has some, in the order of the rows."""
        names = [name for name in table.column_names if gaps[name].any()]
        if not names:
            return {}
        rows = np.flatnonzero(np.any([gaps[name] for name in names], 0))
        holed, parts = self._known(table.take(rows)), []
        masks = {name: gaps[name][rows] for name in names}
        size = max(DRAWN_ROWS // (1 if self.sample_posterior else int(self.n_draws)), 1)
        for start in range(0, len(rows), size):
            chunk = {name: mask[start : start + size] for name, mask in masks.items()}
            parts.append(self._summaries(holed.slice(start, size), chunk, start))
        return {name: pd.concat([p[name] for p in parts if len(p[name])], ignore_index=True) for name in names}

    def _known(self, table: pa.Table) -> pa.Table:
        """The table in the types of training, without its categories that did not occur there."""
        aligned = conditional_tables.aligned(self.model_, _rounded(table, self.model_.encoding.arrow_schema))
        return conditional_tables.without_unseen(self.model_, aligned)

    def _summaries(self, table: pa.Table, gaps: Mapping[str, Mask], start: int) -> dict[str, pd.Series[Any]]:
        """The values of the missing cells of some rows, the first of which has the number `start`."""
        count = 1 if self.sample_posterior else int(self.n_draws)
        (seed,) = (np.random.SeedSequence([self._seed, start]).generate_state(1, np.uint64) >> np.uint64(1)).tolist()
        each = np.arange(table.num_rows).repeat(count)
        copies = table.take(pa.array(each))
        drawn = conditional_tables.impute(self.model_, copies, Draws(seed), strata=count, declared=False)
        places = {name: np.flatnonzero(mask) * count for name, mask in gaps.items()}
        return {
            name: _summary([drawn.select([name]).take(pa.array(place + one)).combine_chunks() for one in range(count)])
            for name, place in places.items()
        }

    def _array(
        self, array: npt.NDArray[Any], imputed: Mapping[str, pd.Series[Any]], gaps: Mapping[str, Mask]
    ) -> npt.NDArray[Any]:
        """The rows of an array with missing values filled, and the indicators."""
        filled = array.copy()
        for name, values in imputed.items():
            filled[gaps[name], self._names.index(name)] = values.to_numpy(array.dtype)
        kept = filled[:, [name not in self._empty for name in self._names]]
        if not (self.add_indicator and self._indicated):
            return kept
        flags = np.stack([gaps[name] for name in self._indicated], 1)
        return np.hstack([kept, flags.astype(kept.dtype)])

    def _frame(
        self, frame: pd.DataFrame, imputed: Mapping[str, pd.Series[Any]], gaps: Mapping[str, Mask]
    ) -> pd.DataFrame:
        """The rows of a DataFrame with missing values filled, and the indicators."""
        labels = [str(label) for label in frame.columns]
        named = hasattr(self, "feature_names_in_")
        places = {name: labels.index(name) if named else place for place, name in enumerate(self._names)}
        kept = [name for name in self._names if name not in self._empty]
        found = frame.iloc[:, [places[name] for name in kept]].copy()
        for name, values in imputed.items():
            found[frame.columns[places[name]]] = completed(frame.iloc[:, places[name]], gaps[name], values)
        return found.assign(**{IMPUTED + name: gaps[name] for name in self._indicated if self.add_indicator})

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns of the result.

        Args:
            input_features: The names of the columns of `fit`; None: those that they had, or x0, x1, ...

        Raises:
            ValueError: These are not the names in `fit`, or not so many.
        """
        names = super().get_feature_names_out(input_features)
        of = dict(zip(self._names, names, strict=True))
        kept = [of[name] for name in self._names if name not in self._empty]
        flags = [IMPUTED + of[name] for name in self._indicated if self.add_indicator]
        return np.array([*kept, *flags], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _rounded(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with numbers rounded where those in training were whole numbers, as is an int64 column without NaN."""
    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type) and pa.types.is_integer(schema.field(field.name).type):
            table = table.set_column(place, field, pc.round(table.column(place)))
    return table


def _summary(draws: Sequence[pa.Table]) -> pd.Series[Any]:
    """The mean, the median or the most frequent one of the draws of a column (rows,), each a table of it."""
    kind = draws[0].schema.field(0).type
    if len(draws) > 1 and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return pd.Series(np.mean([one.column(0).to_numpy() for one in draws], 0, dtype=np.float64))
    whole = pa.concat_tables([one.unify_dictionaries() for one in draws]).combine_chunks()
    if len(draws) > 1:
        choose = _middle if pa.types.is_temporal(kind) or pa.types.is_decimal(kind) else _most_frequent
        whole = whole.take(pa.array(_chosen(whole.column(0).combine_chunks(), len(draws), choose)))
    return convert.to_pandas(whole).iloc[:, 0].reset_index(drop=True)


Ranks = npt.NDArray[np.int64]


def _chosen(values: pa.Array, draws: int, choose: Callable[[Ranks], Ranks]) -> Ranks:
    """The places (rows,) of the chosen draws among all draws (draws * rows,), one draw after another."""
    plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    rows = len(plain) // draws
    ranks = pc.rank(plain, tiebreaker="dense").to_numpy().astype(np.int64).reshape(draws, rows)
    return choose(ranks) * rows + np.arange(rows)


def _middle(ranks: Ranks) -> Ranks:
    """The draw (rows,) of the lower median, given ranks (draws, rows)."""
    return np.asarray(np.argsort(ranks, axis=0, kind="stable")[(len(ranks) - 1) // 2])


def _most_frequent(ranks: Ranks) -> Ranks:
    """The draw (rows,) of the most frequent value; of several such values, the one that was drawn first."""
    return np.asarray(np.argmax([(ranks == one).sum(0) for one in ranks], axis=0))

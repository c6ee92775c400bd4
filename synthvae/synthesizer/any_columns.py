"""The methods of a synthesizer for any columns given any others: conditions, imputation, prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.special import log_softmax, softmax
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.errors import ConfigurationError, PrivacyError, RequestError, TableError, listing, warn_user
from synthvae.generation.request import Request
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer import conditional_sampling, conditional_tables, weighting
from synthvae.synthesizer.conditional_coding import Draws, class_column, columns_of
from synthvae.synthesizer.conditional_drawing import GivenDrawing
from synthvae.synthesizer.conditional_model import ConditionalModel
from synthvae.synthesizer.fitted_model import FittedModel, PerClass
from synthvae.synthesizer.imputation import completed_table, random_weights
from synthvae.tables import convert
from synthvae.tables.features import read_features
from synthvae.tables.selection import without

WITHOUT_BUDGET = (
    "Fit another model to rows of this one, `Synthesizer(conditions=True).fit(model.sample(20_000))`, which spends no "
    "budget. Requests by class need none."
)


def is_table(given: Any) -> bool:
    """Whether conditions are a table, with a row for each row to draw."""
    return isinstance(given, (pd.DataFrame, pa.Table)) or hasattr(given, "__arrow_c_stream__")


def _predicts(estimator: Any) -> bool:
    """Whether a column can be predicted: the target, or any; scikit-learn tries methods that an estimator has."""
    learned = getattr(estimator, "learned_", None)
    return bool(estimator.target is not None or estimator.conditions or getattr(learned, "conditional", None))


def _index(table: Any) -> pd.Index[Any] | None:
    """The index of the rows of a table; None: it has none."""
    return table.index if isinstance(table, pd.DataFrame) else None


class AnyColumns:
    """Conditions, imputation and prediction; a base of `Synthesizer`."""

    learned_: FittedModel
    random_state: Seed

    def _conditional(self) -> ConditionalModel:
        """The model of any columns given any others.

        Raises:
            ConfigurationError: It has not been learned.
        """
        check_is_fitted(self)
        if self.learned_.conditional is None and self.learned_.ledger is not None:
            raise ConfigurationError(
                f"Conditions on any columns must be learned, and a private fit learns whole rows only. {WITHOUT_BUDGET}"
            )
        if self.learned_.conditional is None:
            raise ConfigurationError(
                "Conditions on any columns must be learned, and this model has learned whole rows only. Fit it with "
                "conditions=True (`synthvae fit --conditions`), or call `learn_conditions(table)` with its training "
                "table."
            )
        return self.learned_.conditional

    def learn_conditions(self, table: Any, random_state: Seed = None) -> Self:
        """Learn the distribution of any columns given any others, beside a fitted model, which stays as it is.

        Args:
            table: The training table of the model.
            random_state: Seed of all draws. None: that of the estimator.

        Raises:
            PrivacyError: The model was fitted under a privacy budget, which this would not be covered by.
        """
        check_is_fitted(self)
        if self.learned_.ledger is not None:
            raise PrivacyError(
                "Conditions must not be learned from the table of a private model: its privacy budget is spent. "
                f"{WITHOUT_BUDGET}"
            )
        parameters = self.get_params(deep=False)  # type: ignore[attr-defined]
        rows, weights = weighting.split(without(convert.read(table), self.learned_.schema.drop), parameters["weights"])
        if not rows.num_rows:
            raise TableError("Conditions must be learned from the training table, got one without rows.")
        read = read_features(self, rows, reset=False)
        seed = as_seed(self.random_state if random_state is None else random_state)
        conditional = self.learned_.learn_conditional(read, parameters, seed, weights)
        self.learned_ = replace(self.learned_, conditional=conditional)
        return self

    def _sample_given(self, rows: int | PerClass | None, given: Any, seed: int) -> pd.DataFrame:
        """Rows that obey conditions, in number or by class, or one for each row of a table."""
        drawing = self._given_drawing(rows, given, seed)
        parts = [drawing(part) for part in range(drawing.request.parts)]
        found = convert.to_pandas(pa.concat_tables([part.unify_dictionaries() for part in parts]).combine_chunks())
        return found.set_axis(given.index) if isinstance(given, pd.DataFrame) else found

    def _given_drawing(self, rows: int | PerClass | None, given: Any, seed: int) -> GivenDrawing:
        """What draws the parts of a request with conditions.

        Raises:
            RequestError: Rows are requested beside a table of conditions, or a condition cannot be met.
        """
        model = self._conditional()
        if is_table(given):
            if rows is not None:
                raise RequestError(f"`rows` must be None with a table of conditions, one row each, got {rows!r}.")
            if not len(given.columns):
                raise RequestError("A table of conditions must have a column, got none. Request a number of rows.")
            aligned = conditional_tables.aligned(model, self._read(given))
            return GivenDrawing(model, Request((aligned.num_rows,), seed), aligned)
        if rows is None:
            raise RequestError("`rows` must be a number of rows or rows per class with conditions, got None.")
        request, name = self.learned_.request(rows, seed), class_column(model.encoding)
        by_class = name is not None and isinstance(rows, (Mapping, pd.Series))
        if by_class and name in [str(column) for column in given]:
            raise RequestError(f"`given` must not name {name!r} if rows are requested by class. Remove one of the two.")
        conditional_sampling.alternatives(model, given)
        return GivenDrawing(model, request if by_class else Request((request.rows,), seed), given)

    @overload
    def impute(
        self,
        table: Any,
        *,
        draws: Literal[1] = 1,
        indicator: bool = False,
        proper: bool = False,
        random_state: Seed = None,
    ) -> pd.DataFrame: ...

    @overload
    def impute(
        self,
        table: Any,
        *,
        draws: int,
        indicator: bool = False,
        proper: bool = False,
        random_state: Seed = None,
    ) -> list[pd.DataFrame]: ...

    def impute(
        self,
        table: Any,
        *,
        draws: int = 1,
        indicator: bool = False,
        proper: bool = False,
        random_state: Seed = None,
    ) -> pd.DataFrame | list[pd.DataFrame]:
        """Return a table whose missing values are drawn given the present ones of their row, which stay as they are.

        Each draw is one imputation; several make multiple imputation, whose spread shows what is unknown given the
        model. Values are assumed to be missing at random. Sentinel values are present, and none is drawn. Columns that
        the model does not have, and those whose values it generates anew, such as ids, stay as they are.

        Args:
            table: Rows with columns of the training table, in any order; columns that are absent are unknown.
            draws: The number of imputations; a list is returned if it is not 1.
            indicator: Whether to add, for each column with imputed values, a column `missingindicator_NAME`.
            proper: Whether each imputation comes from a network of its own, fitted to the rows of this table with
                random weights (a Bayesian bootstrap), so that the spread shows what is unknown of the model, too, as
                Rubin's rules need. It takes a fit for each draw.
            random_state: Seed of the draws. None: that of the estimator.

        Raises:
            RequestError: No column is one of the model, a value has another type, or `draws` is less than 1.
            ConfigurationError: Conditions have not been learned.
        """
        model = self._conditional()
        if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
            raise RequestError(f"`draws` must be a whole number of at least 1, got {draws!r}.")
        read = convert.read(table)
        aligned = conditional_tables.aligned(model, self._modelled(read))
        frame = table if isinstance(table, pd.DataFrame) else convert.to_pandas(read)
        seed = as_seed(self.random_state if random_state is None else random_state)
        found = []
        for one in [seed, *np.random.SeedSequence(seed).generate_state(int(draws) - 1).tolist()]:
            own = self._refitted(read, aligned, one) if proper else model
            drawn = conditional_tables.impute(own, aligned, Draws(one))
            found.append(completed_table(frame, aligned, drawn, indicator=indicator))
        return found if draws > 1 else found[0]

    def _read(self, table: Any) -> pa.Table:
        """A table as Arrow, without columns that were aside in training: dropped ones, and the weights of rows."""
        read = convert.read(table)
        return read.drop_columns([name for name in read.column_names if name in self._aside])

    def _modelled(self, table: pa.Table) -> pa.Table:
        """The columns of a table that the model has; a warning names others, but for dropped ones and weights.

        Raises:
            RequestError: There is none.
        """
        names, aside = self.learned_.encoding.names, self._aside
        known = [name for name in table.column_names if name in names]
        if not known:
            raise RequestError(f"The table must have a column of the model, got none. It has {listing(names)}.")
        if others := [name for name in table.column_names if name not in names and name not in aside]:
            warn_user(f"the model does not have the columns {listing(others)}. They are kept as they are, and not used")
        return table.select(known)

    @property
    def _aside(self) -> set[str]:
        """The columns of the training table that are not modelled: dropped ones, and the weights of rows."""
        weights = self.learned_.provenance.weighted_by
        return {*self.learned_.schema.drop, *([] if weights is None else [weights])}

    def _refitted(self, read: pa.Table, aligned: pa.Table, seed: int) -> ConditionalModel:
        """A network of conditions fitted to the rows of a table with random weights.

        Raises:
            RequestError: The table has fewer than 2 rows, or lacks a column of the model.
            PrivacyError: The model has a privacy budget.
        """
        if self.learned_.ledger is not None:
            raise PrivacyError("`proper` must be False for a private model: refits to a table have no budget.")
        names = columns_of(self.learned_.encoding)
        if absent := [name for name in names if name not in read.column_names]:
            raise RequestError(
                f"`proper` needs all columns of the model, to refit it, and the table lacks {listing(absent)}."
            )
        if aligned.num_rows < 2:
            raise RequestError(f"`proper` needs at least 2 rows to refit the model, got {aligned.num_rows}.")
        weights, rows, weighted_by = None, aligned, self.learned_.provenance.weighted_by
        if weighted_by is not None and weighted_by in read.column_names:
            rows, weights = weighting.split(aligned.append_column(weighted_by, read.column(weighted_by)), weighted_by)
        rows = conditional_tables.without_unseen(self._conditional(), rows)
        parameters = self.get_params(deep=False)  # type: ignore[attr-defined]
        return self.learned_.learn_conditional(rows, parameters, seed, random_weights(rows.num_rows, seed, weights))

    @available_if(_predicts)  # type: ignore[untyped-decorator]
    def predict_proba(self, table: Any, target: str | None = None) -> pd.DataFrame:
        """Return p(column = category | the other columns) of each row, a column for each category.

        Of the classes of the model's target, the mean of the log probabilities by Bayes' rule from p(x | y) and of the
        network of any columns, if that has been learned; columns that the table lacks are unknown.

        Args:
            table: Rows with columns of the training table, with or without the target.
            target: A column of categories. None: the target of the model.

        Raises:
            RequestError: There is no such column, or it is a number or a date.
            ConfigurationError: Conditions have not been learned, and are needed.
        """
        check_is_fitted(self)
        name = self._predicted(target)
        column = columns_of(self.learned_.encoding)[name]
        if not isinstance(column, CategoricalEncoding):
            raise RequestError(f"Probabilities need a column of categories, and {name!r} is none. Use `predict`.")
        logs = self._log_probabilities(table, name)
        labels = [*column.values, None][: logs.shape[1]]
        frame = pd.DataFrame(softmax(logs, 1), index=_index(table), columns=pd.Index(labels, dtype=object, name=name))
        return frame.loc[:, [label is not None for label in labels]].pipe(lambda f: f.div(f.sum(axis=1), axis=0))

    def _predicted(self, target: str | None) -> str:
        encoding = self.learned_.encoding
        name = target if target is not None else (encoding.target.name if encoding.target else None)
        if name is None:
            raise RequestError("`target` must name a column, got None, and the model has no target.")
        if str(name) not in columns_of(encoding):
            raise RequestError(f"`target` must be a column, got {name!r}. Choose among {listing(encoding.names)}.")
        return str(name)

    def _log_probabilities(self, table: Any, name: str) -> npt.NDArray[np.float64]:
        """Log p (rows, states) of a column given the others."""
        encoding, read = self.learned_.encoding, self._read(table)
        others = [n for n in encoding.names if n in read.column_names and n != name]
        by_bayes = name == class_column(encoding) and set(others) | {name} == set(encoding.names)
        by_bayes = by_bayes and not (self.learned_.conditional and self._has_unseen(read.select(others)))
        conditional = self.learned_.conditional
        if conditional is None and not by_bayes:
            conditional = self._conditional()
        found = []
        if conditional is not None:
            aligned = conditional_tables.aligned(conditional, read.select(others))
            unknown = conditional_tables.unseen(conditional, aligned)
            found.append(conditional.log_probabilities(aligned, name, others, unknown))
        if by_bayes:
            found.append(log_softmax(self.learned_.log_joint(read.select(others)), 1))
        return np.asarray(np.mean(found, 0))

    def _has_unseen(self, table: pa.Table) -> bool:
        """Whether a category did not occur in training, so that p(x | y) has no value."""
        columns = self.learned_.encoding.columns
        return any(
            columns[name].unseen(name, table.column(name)).any()
            for name in table.column_names
            if isinstance(columns.get(name), CategoricalEncoding)
        )

    @available_if(_predicts)  # type: ignore[untyped-decorator]
    def predict(self, table: Any, target: str | None = None, random_state: Seed = None) -> pd.Series:
        """Return the most probable category of a column given the others, or the mean of its numbers.

        Args:
            table: Rows with columns of the training table, with or without the target.
            target: The column. None: the target of the model.
            random_state: Seed of the draws of numbers. None: that of the estimator.

        Raises:
            RequestError: There is no such column, or it holds neither categories nor numbers.
            ConfigurationError: Conditions have not been learned, and are needed.
        """
        check_is_fitted(self)
        name = self._predicted(target)
        column, index = columns_of(self.learned_.encoding)[name], _index(table)
        if isinstance(column, CategoricalEncoding):
            best = self.predict_proba(table, name).to_numpy().argmax(axis=1)
            kind = self.learned_.encoding.arrow_schema.field(name).type
            found = convert.to_pandas(self._one_column(name, column.to_arrow(best, kind)))[name]
            return found if index is None else found.set_axis(index)
        if not conditional_tables.has_numbers(column):
            raise RequestError(f"A prediction needs a column of categories or numbers, and {name!r} is none.")
        model, read = self._conditional(), self._read(table)
        others = [n for n in read.column_names if n != name]
        aligned = conditional_tables.aligned(model, read.select(others))
        seed = as_seed(self.random_state if random_state is None else random_state)
        mean = conditional_tables.mean_number(model, aligned, name, Draws(seed))
        return pd.Series(mean, index=index, name=name)

    def _one_column(self, name: str, values: pa.Array) -> pa.Table:
        """A table of one column, which becomes a DataFrame with the dtype of training."""
        schema = self.learned_.encoding.arrow_schema
        return pa.Table.from_arrays(
            [values], schema=pa.schema([schema.field(name).with_type(values.type)], schema.metadata)
        )

    def _log_likelihood_of(self, table: Any, columns: Sequence[str], given: Sequence[str]) -> npt.NDArray[np.float64]:
        """Log p (rows,) of some columns given others, in nats; all others are marginalised."""
        model = self._conditional()
        columns = [str(name) for name in ([columns] if isinstance(columns, str) else columns)]
        given = [str(name) for name in ([given] if isinstance(given, str) else given)]
        known = columns_of(model.encoding)
        unknown = [name for name in (*columns, *given) if name not in known]
        both = [name for name in columns if name in given]
        if unknown or both:
            what = f"{listing(unknown)} are no columns" if unknown else f"{listing(both)} are in both"
            raise RequestError(f"`columns` and `given` must name different columns of the table: {what}. Change them.")
        read = self._read(table)
        if absent := [name for name in (*columns, *given) if name not in read.column_names]:
            raise RequestError(f"The table must have the columns that are named, and lacks {listing(absent)}.")
        aligned = conditional_tables.aligned(model, read.select([n for n in read.column_names if n in known]))
        return model.log_likelihood(aligned, columns, given)

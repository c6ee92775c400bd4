"""Fit a model to a table under a privacy budget."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from synthvae import progress
from synthvae.devices import find_device, own_modes
from synthvae.errors import PrivacyError, warn_user
from synthvae.privacy import Ledger, PrivacyBudget
from synthvae.privacy import fit as private_fit
from synthvae.privacy.curator import Curator
from synthvae.random_state import as_seed
from synthvae.schema.column import DRAFTS
from synthvae.schema.constraints import Unique
from synthvae.schema.schema import Schema
from synthvae.synthesizer import weighting
from synthvae.synthesizer.configuration import (
    LATENT_TRAINING,
    Parameters,
    architecture,
    configure,
    refuse_unsupported_in_private_fit,
    repairs_rows,
    spending_plan,
    values,
)
from synthvae.synthesizer.fit_warnings import warn_of_training
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.synthesizer.local_backend import Backend
from synthvae.synthesizer.roles import Times, conditioned_on, order_of, target_among
from synthvae.training import TrainingConfig
from synthvae.training.callbacks import open_callbacks, steps_only

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd.trainer import Descender

DRAFTED = (
    "THE SCHEMA WAS DRAFTED FROM THE DATA, then reviewed: what its categories and bounds reveal about single rows is "
    "not covered by the privacy budget"
)


def fit_privately(  # noqa: PLR0917 (the inputs of a fit)
    parameters: Parameters,
    table: pa.Table,
    schema: Schema | None,
    budget: PrivacyBudget,
    backend: Backend,
    folder: Path,
) -> FittedModel:
    """Fit a model under a privacy budget, with the journal that the parameters name."""
    refuse_unsupported_in_private_fit(parameters)
    weighting.refuse_in_private_fit(parameters.weights)
    if schema is not None and schema.origin in DRAFTS:
        warn_user(DRAFTED)
    plan = spending_plan(parameters)
    inputs = {"plan": plan.model_dump(mode="json"), "target": conditioned_on(parameters), "order": parameters.order}
    if (times := Times.of(parameters)) is not None:
        inputs["times"] = dataclasses.asdict(times)
        if schema is not None:
            times.check(schema)
    inputs["columns"] = table.column_names
    if repairs_rows(parameters):
        _refuse_comparing_rows(schema)
        inputs["broken_rows"] = parameters.broken_rows
    seed = None if parameters.random_state is None else as_seed(parameters.random_state)
    journal = private_fit.open_journal(parameters.journal, schema, budget, seed, **inputs)
    curator = Curator(Ledger(budget=budget), journal)
    return fit_by_curator(parameters, table, schema, curator, backend.descender(folder / ".private-rows"))


def _refuse_comparing_rows(schema: Schema | None) -> None:
    """Refuse rules by which a row is judged by others, so that one person's row would decide on another's.

    Raises:
        PrivacyError: There is one.
    """
    rules = [f"`{rule}`" for rule in (schema.constraints if schema else ()) if isinstance(rule, Unique)]
    if rules:
        raise PrivacyError(
            '`broken_rows` must be "refuse" for a private fit with rules that compare rows, got "repair" and '
            f"{', '.join(rules)}. Remove these rules, or `broken_rows`; a private fit refuses no row."
        )


@own_modes()
def fit_by_curator(
    parameters: Parameters, table: pa.Table, schema: Schema | None, curator: Curator, descender: Descender
) -> FittedModel:
    """Fit a model under the budget of a curator; nothing that it reports on the way depends on the rows.

    Args:
        parameters: The parameters; the budget, the journal and the seed are those of the curator.
        table: The rows, read one by one.
        schema: The declared schema; None: one is measured.
        curator: Releases counts and gradients of the rows.
        descender: Trains by differentially private SGD.

    Raises:
        PrivacyError: The table does not have the columns of the schema, or the budget does not suffice.
    """
    with (
        progress.fitting(show=parameters.verbose) as report,
        open_callbacks(parameters.callbacks, parameters.log_dir) as callback,
    ):
        setup = private_fit.Setup(
            spending_plan(parameters),
            architecture(parameters, 0, dropout=parameters.dropout or 0.0),
            configure(TrainingConfig, values(parameters, LATENT_TRAINING)),
            descender,
            steps_only(callback, report),
            order_of(parameters),
            repairs_rows(parameters),
        )
        target = target_among(parameters, table.column_names if schema is None else schema.names)
        found = private_fit.learn(table, schema, target, curator, setup)
    network = found.network.to(find_device(parameters.device))
    fitted = FittedModel(found.schema, found.encoding, network, found.history, found.ledger)
    warn_of_training(fitted, parameters)
    return fitted

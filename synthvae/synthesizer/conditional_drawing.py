"""The parts of a dataset whose rows obey conditions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors.torch

from synthvae.devices import one_thread, own_modes
from synthvae.encoding import TableEncoding
from synthvae.errors import brief
from synthvae.generation.given import Given
from synthvae.generation.request import Request
from synthvae.model.build import build_conditional
from synthvae.model.conditional import ConditionalConfig
from synthvae.synthesizer.conditional_coding import Draws, class_column, layout_of
from synthvae.synthesizer.conditional_model import ConditionalModel
from synthvae.synthesizer.conditional_sampling import sample_given
from synthvae.synthesizer.conditional_tables import fill_table
from synthvae.training.checkpoint import content_hash
from synthvae.training.history import History


@dataclass(frozen=True)
class GivenDrawing:
    """The function that draws a part of a request with conditions, by number. Its pickle has no code of the model.

    Args:
        model: The model of any columns given any others.
        request: The number of rows, or of rows of each class.
        given: The conditions, the same for all rows; or a table with a row for each row, whose present values are kept.
    """

    __repr__ = brief

    model: ConditionalModel
    request: Request
    given: Given | pa.Table

    def __call__(self, part: int) -> pa.Table:
        """Return the rows of one part."""
        (seed,) = np.random.SeedSequence([self.request.seed, part]).generate_state(1, np.uint64).tolist()
        first = sum(self.request.counts_before(part))
        draws = Draws(seed >> 1, first, self.request.seed)
        counts = self.request.counts_of(part)
        with one_thread():
            if isinstance(self.given, pa.Table):
                return fill_table(self.model, self.given.slice(first, sum(counts)), draws)
            if len(counts) == 1:
                return sample_given(self.model, counts[0], self.given, draws)
            return self._of_classes(counts, self.given, draws)

    def manifest(self, of_rows: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata of a dataset with conditions, given those of one without."""
        config = self.model.network.config._asdict()
        fingerprint = content_hash(config, self.model.network.state_dict())
        given = _stated(self.given)
        classes = of_rows["classes"] if len(self.request.counts) > 1 else None
        return {**of_rows, "classes": classes, "given": given, "conditional_sha256": fingerprint}

    def _of_classes(self, counts: tuple[int, ...], given: Given, draws: Draws) -> pa.Table:
        """Rows of each class, shuffled."""
        name, target = class_column(self.model.encoding), self.model.encoding.target
        assert name is not None
        assert target is not None
        tables: list[pa.Table] = []
        first = draws.first_row
        for place, (label, count) in enumerate(zip(target.labels, counts, strict=True)):
            if count or not (tables or any(counts)):
                own = draws._replace(seed=draws.seed + place, first_row=first)
                tables.append(sample_given(self.model, count, {**given, name: label}, own))
            first += count
        whole = pa.concat_tables([table.unify_dictionaries() for table in tables]).combine_chunks()
        return whole.take(np.random.default_rng(draws.seed).permutation(whole.num_rows))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle weights as safetensors: tensors would be sent in shared memory, which other machines do not have."""
        network = self.model.network
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        arguments = self.model.encoding.model_dump_json(), network.config, safetensors.torch.save(weights)
        return _restore, (*arguments, self.request, self.given)


@own_modes()
def _restore(
    encoding: str, config: ConditionalConfig, weights: bytes, request: Request, given: Given | pa.Table
) -> GivenDrawing:
    learned = TableEncoding.model_validate_json(encoding)
    network = build_conditional(layout_of(learned).slots, config, 0)
    network.load_state_dict(safetensors.torch.load(weights))
    return GivenDrawing(ConditionalModel(learned, network.eval(), History()), request, given)


def _stated(given: Given | pa.Table) -> dict[str, str]:
    """Conditions as a manifest states them; of a table, which may hold people's data, a hash."""
    if not isinstance(given, pa.Table):
        return {str(name): repr(value) for name, value in given.items()}
    digest = hashlib.sha256()
    for batch in given.to_batches():
        digest.update(batch.serialize())
    return {"table_sha256": digest.hexdigest()}

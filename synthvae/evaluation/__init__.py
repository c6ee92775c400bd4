"""What a synthetic table is worth: fidelity, utility, disclosure and fairness, beside the real rows.

Sees tables and schema, never the model. What it says of privacy are measurements, which prove none: a guarantee is what
a ledger says.
"""

from synthvae.evaluation.assessment import Evaluation, evaluate
from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.results import Figure, Metric, Section

__all__ = ["Comparison", "Evaluation", "Figure", "Metric", "Section", "evaluate"]

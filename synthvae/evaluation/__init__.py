"""Evaluation of synthetic tables: fidelity, logic, utility, disclosure and fairness, each compared with real rows.

Uses tables and schemas only, never the model. Measurements of privacy prove nothing: a guarantee is what the privacy
ledger states.
"""

from synthvae.evaluation.assessment import Evaluation, evaluate
from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.linked.database_evaluation import DatabaseEvaluation, evaluate_database
from synthvae.evaluation.metric import Metric
from synthvae.evaluation.metrics import METRICS
from synthvae.evaluation.pooling import Pooled, pool
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.several import Evaluations, compare

__all__ = [
    "METRICS",
    "Comparison",
    "DatabaseEvaluation",
    "Evaluation",
    "Evaluations",
    "Figure",
    "Metric",
    "Pooled",
    "Section",
    "compare",
    "evaluate",
    "evaluate_database",
    "pool",
]


def __dir__() -> list[str]:
    return __all__

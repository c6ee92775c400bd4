"""Training and generation on a Ray cluster: data-parallel training, and the parts of a dataset as tasks."""

from synthvae.cluster.backend import RayBackend, fit
from synthvae.cluster.connection import LOCAL, connected
from synthvae.cluster.executor import on

__all__ = ["LOCAL", "RayBackend", "connected", "fit", "on"]


def __dir__() -> list[str]:
    return __all__

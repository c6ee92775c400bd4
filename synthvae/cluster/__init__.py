"""The same two jobs on Ray: training of several processes together, and parts of a dataset as tasks."""

from synthvae.cluster.backend import RayBackend, fit
from synthvae.cluster.connection import LOCAL, connected
from synthvae.cluster.dataset import on

__all__ = ["LOCAL", "RayBackend", "connected", "fit", "on"]

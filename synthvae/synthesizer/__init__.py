"""`Synthesizer`: fit, sample, generate, save."""

from synthvae.synthesizer.synthesizer import Synthesizer

__all__ = ["Synthesizer"]


def __dir__() -> list[str]:
    return __all__

"""The shape of a model, as users choose it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

DecoderName = Literal["autoregressive", "factorized", "linear"]
PriorName = Literal["standard_normal", "class_normal", "mixture", "vamp"]
PosteriorName = Literal["normal", "point"]
ProposalName = Literal["posterior", "prior"]
LikelihoodName = Literal["auto", "bernoulli", "gaussian"]


class ModelConfig(BaseModel):
    """The shape of a model.

    Args:
        decoder: "autoregressive", "factorized", or, of pixels, "linear": no hidden layer on either side, so that a
            "gaussian" is factor analysis.
        prior: "standard_normal"; "class_normal": a normal for each condition, of which encoder and decoder are not
            told; "mixture": of normals, which each condition weighs in its own way; "vamp": the same of posteriors of
            pseudo-inputs.
        latent_dim: Dimensions of z.
        width: Units of encoder and decoder.
        hidden: Units of the hidden layer of each autoregressive head of a digit.
        value_hidden: The same of heads of continuous values, which say more.
        dropout: Probability with which a hidden unit is silenced in training.
        components: Of the prior, where it is a mixture; None: 16, or 100 for pixels, whose codes say more.
        posterior: "normal", or "point": an autoencoder, whose code is the posterior's mean, without a prior to hold it;
            a mixture of normals is fitted to the codes afterwards, to draw from.
        told: Whether encoder and decoder are told the condition; with "class_normal" they never are.
        likelihood: "auto": of digits, and of values as mixtures; "bernoulli" or "gaussian": of pixels, see
            `synthvae.model.pixels`, which are independent given z, even if `decoder` says "autoregressive".
        variance: Of "gaussian": the variance of every number; None learns one for each column.
        image_shape: Height and width of an image of pixels: convolutions. None: no image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoder: DecoderName = "autoregressive"
    prior: PriorName = "standard_normal"
    latent_dim: int = Field(default=8, ge=1)
    width: int = Field(default=128, ge=1)
    hidden: int = Field(default=32, ge=0)
    value_hidden: int = Field(default=96, ge=0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    components: int | None = Field(default=None, ge=1)
    posterior: PosteriorName = "normal"
    told: bool = True
    likelihood: LikelihoodName = "auto"
    variance: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    image_shape: tuple[PositiveInt, PositiveInt] | None = None

    @model_validator(mode="after")
    def _a_point_has_no_prior_to_learn(self) -> Self:
        if self.posterior == "point" and self.prior in ("class_normal", "vamp"):
            raise ValueError(
                f'`prior` must be "standard_normal" or "mixture" where posterior="point", however, it is '
                f"{self.prior!r}: the codes of an autoencoder are fitted by a mixture afterwards"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _independent(cls, given: Any) -> Any:
        """Pixels are never autoregressive."""
        pixels = isinstance(given, dict) and given.get("likelihood", "auto") != "auto"
        return {**given, "decoder": "factorized"} if pixels and given.get("decoder") != "linear" else given

    @model_validator(mode="after")
    def _of_pixels(self) -> Self:
        if self.variance is not None and self.likelihood != "gaussian":
            raise ValueError(
                f"`variance` is of likelihood='gaussian', however, likelihood={self.likelihood!r}: leave it None"
            )
        if self.pixels and self.prior == "vamp":
            raise ValueError("pseudo-inputs are sums of digits' vectors, however, there are pixels: choose 'mixture'")
        if self.image_shape is not None and not self.pixels:
            raise ValueError(
                f"`image_shape` needs pixels, however, likelihood={self.likelihood!r}: choose 'bernoulli' or 'gaussian'"
            )
        if self.decoder == "linear" and (not self.pixels or self.image_shape is not None):
            what = "likelihood='auto'" if not self.pixels else "`image_shape` asks for convolutions"
            raise ValueError(
                f"decoder='linear' is of pixels or other numbers without convolutions, however, {what}: choose "
                "'gaussian' or 'bernoulli', and no `image_shape`"
            )
        return self

    @property
    def pixels(self) -> bool:
        """Whether all that is modelled are pixels."""
        return self.likelihood != "auto"

    @property
    def normals(self) -> int:
        """The components of a mixture."""
        return self.components or (100 if self.pixels else 16)

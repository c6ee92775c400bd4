"""The configuration of a model."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

DecoderName = Literal["autoregressive", "factorized", "linear"]
PriorName = Literal["standard_normal", "class_normal", "mixture", "vamp"]
PosteriorName = Literal["normal", "point"]
ProposalName = Literal["posterior", "prior"]
LikelihoodName = Literal["auto", "bernoulli", "gaussian"]


class ModelConfig(BaseModel):
    """The architecture of a model.

    Args:
        decoder: "autoregressive", "factorized", or, for pixels, "linear": without hidden layers in encoder and decoder,
            so that likelihood="gaussian" is factor analysis.
        prior: "standard_normal"; "class_normal": a normal for each condition, with unconditional encoder and decoder;
            "mixture": normals with weights for each condition; "vamp": posteriors of pseudo-inputs, weighted likewise.
        latent_dim: The number of dimensions of z.
        width: Units of encoder and decoder.
        hidden: Units of the hidden layer of each autoregressive head of a digit.
        value_hidden: Units of the hidden layer of each autoregressive head of a continuous value.
        products: Entries of the running sum of the autoregressive decoder, at most half of its width, that hold
            products of factors of two slots; see `synthvae.model.embeddings.with_products`.
        dropout: Probability with which a hidden unit is dropped in training.
        components: The number of components of a mixture prior; None: 16, or 100 for pixels.
        posterior: "normal", or "point": an autoencoder, whose latent is the posterior mean, without a prior in the
            loss; a mixture of normals is fitted to the latents afterwards, to draw from.
        conditional: Whether encoder and decoder are conditional; with "class_normal" they never are.
        likelihood: "auto": categorical digits, and mixtures of normals for values; "bernoulli" or "gaussian": pixels,
            see `synthvae.model.pixels`, which are independent given z even with decoder="autoregressive".
        variance: With "gaussian", the variance of every number; None: one for each column is learned.
        image_shape: Height and width of images, which have convolutions; None: the pixels are no image.

    Example:
        >>> from synthvae.model import ModelConfig
        >>> ModelConfig(prior="mixture").normals
        16
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    decoder: DecoderName = "autoregressive"
    prior: PriorName = "standard_normal"
    latent_dim: int = Field(default=8, ge=1)
    width: int = Field(default=128, ge=1)
    hidden: int = Field(default=32, ge=0)
    value_hidden: int = Field(default=96, ge=0)
    products: int = Field(default=0, ge=0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    components: int | None = Field(default=None, ge=1)
    posterior: PosteriorName = "normal"
    conditional: bool = Field(default=True, alias="told")
    likelihood: LikelihoodName = "auto"
    variance: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    image_shape: tuple[PositiveInt, PositiveInt] | None = None

    @model_serializer(mode="wrap")
    def _with_saved_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep the key of saved models, "told"."""
        return {"told" if name == "conditional" else name: value for name, value in handler(self).items()}

    @model_validator(mode="after")
    def _validate_prior_of_point(self) -> Self:
        if self.posterior == "point" and self.prior in ("class_normal", "vamp"):
            raise ValueError(
                f'`prior` must be "standard_normal" or "mixture" with posterior="point", got {self.prior!r}. A mixture '
                "is fitted to the latents of an autoencoder after training."
            )
        return self

    @model_validator(mode="after")
    def _validate_products(self) -> Self:
        if 2 * self.products > self.width:
            raise ValueError(
                f"`products` must be at most half of the width, {self.width}, got {self.products}. Each product "
                "needs a factor beside it."
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _factorize_pixels(cls, given: Any) -> Any:
        """Set the decoder of pixels to "factorized" unless it is "linear"."""
        pixels = isinstance(given, dict) and given.get("likelihood", "auto") != "auto"
        return {**given, "decoder": "factorized"} if pixels and given.get("decoder") != "linear" else given

    @model_validator(mode="after")
    def _validate_pixels(self) -> Self:
        if self.variance is not None and self.likelihood != "gaussian":
            raise ValueError(
                f"`variance` must be None unless likelihood='gaussian', got likelihood={self.likelihood!r}. Remove it."
            )
        if self.pixels and self.prior == "vamp":
            raise ValueError(
                f"`prior` must not be 'vamp' with pixels, got likelihood={self.likelihood!r}. Choose 'mixture'."
            )
        if self.image_shape is not None and not self.pixels:
            raise ValueError(
                f"`image_shape` must be None without pixels, got likelihood={self.likelihood!r}. Choose 'bernoulli' or "
                "'gaussian'."
            )
        if self.decoder == "linear" and (not self.pixels or self.image_shape is not None):
            found = f"image_shape={self.image_shape}" if self.pixels else "likelihood='auto'"
            raise ValueError(
                f"decoder='linear' must have likelihood 'gaussian' or 'bernoulli' and no `image_shape`, got {found}. "
                "Change it, or choose another decoder."
            )
        return self

    @property
    def pixels(self) -> bool:
        """Whether all columns are modelled as pixels."""
        return self.likelihood != "auto"

    @property
    def normals(self) -> int:
        """The number of components of a mixture prior."""
        return self.components or (100 if self.pixels else 16)

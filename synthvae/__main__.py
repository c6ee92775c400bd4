"""`python -m synthvae`."""

from synthvae.cli import app

app(prog_name="synthvae")

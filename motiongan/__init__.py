"""Labelled, physically plausible athlete motion from a GAN."""

__version__ = "0.1.0"

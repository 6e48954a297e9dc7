"""The version of this package, from which it is built and which it states."""

__version__ = "0.1.0"

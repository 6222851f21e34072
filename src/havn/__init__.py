"""Havn: the platform on which public bodies run their digital service apps."""

__version__ = "0.1.0"

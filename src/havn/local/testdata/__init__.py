"""Synthetic people and companies: a fixed set for documentation and tests, and more from a seed.

Nobody here exists: every national identity number has 80 added to its month, and names are an adjective and a noun.
"""

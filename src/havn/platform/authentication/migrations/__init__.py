"""Numbered SQL of the schema `authentication`."""

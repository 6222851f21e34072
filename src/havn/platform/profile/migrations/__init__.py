"""Numbered SQL of the schema `profile`."""

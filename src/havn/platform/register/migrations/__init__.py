"""Numbered SQL of the schema `register`."""

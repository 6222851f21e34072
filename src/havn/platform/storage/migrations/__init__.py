"""Numbered SQL files of the schema `storage`, run by `havn.kit.migrations`."""

"""The schema `authorization`, as numbered SQL."""

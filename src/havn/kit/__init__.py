"""Plumbing without domain words: problems, settings, database, HTTP in and out, logs, traces, clock and ids."""

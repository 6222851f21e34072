"""Counting: rates in the counter store, quotas in PostgreSQL, handed out in portions to the processes that enforce."""

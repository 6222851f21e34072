"""Everything on one machine: embedded PostgreSQL, the supervised processes, the local cluster, test sign-in."""

"""The tables of service levels."""

"""The command `havn`: a file per noun that the user types."""

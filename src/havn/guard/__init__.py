"""What stands before every handler: who is calling (tokens), and may they (policy enforcement)."""

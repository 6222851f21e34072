"""Reading and checking an app folder: the files that make a service app (contract app-config)."""

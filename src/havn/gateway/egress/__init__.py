"""The API proxy: the only way out for apps, which knows the outbound rules and holds the credentials."""

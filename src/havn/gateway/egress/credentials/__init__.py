"""Credentials that the proxy adds to an app's requests, so that the app never holds them."""

"""The way in, embedded form: a small reverse proxy that takes host and path to exactly one app.

On Kubernetes the same promise is kept by Traefik and the routes that the chart makes.
"""

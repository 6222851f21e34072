"""Secrets of apps: written and never shown again, sealed at rest, put into the cluster by the next deployment.

A change makes a new version. An app gets the newest versions with its next deployment; which ones it was last put in
force with is kept, so that a deployment that fails goes back to them.
"""

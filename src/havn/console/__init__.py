"""The web view of orgs, apps, releases and traffic."""

"""Data services: instances of apps, their data elements, process and events, application metadata and texts.

The Storage API of the Altinn Apps architecture, in PostgreSQL and a blob store. Every call by a person, organisation or
system is decided by the app's own policy with the stored instance's attributes; never with what the path says.
"""

"""The HTTP API of a running app, as the Altinn frontend and end-user systems call it: routes and translation only."""

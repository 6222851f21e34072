"""Images without a container engine: a base (Python and Havn), and an app's image made of base and release."""

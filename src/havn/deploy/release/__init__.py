"""A release: one app as an OCI artifact, reproducible byte for byte, signed by its org, unpacked only when verified."""

"""Which cluster serves which org and environment, and the port through which a release is put there."""

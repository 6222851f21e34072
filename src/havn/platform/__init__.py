"""The platform APIs that apps share. Each starts alone, owns its schema, and imports none of the others."""

"""Form data models as plain JSON: paths, patches, row ids, the shape a schema gives, prefill and calculation."""

"""OCI documents: images, layouts and archives, written and checked."""

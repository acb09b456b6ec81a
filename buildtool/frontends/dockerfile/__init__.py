"""The Dockerfile frontend: text to a typed tree with spans, the tree to a graph."""

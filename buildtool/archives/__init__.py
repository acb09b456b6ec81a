"""Package archives: signed indexes, dependency resolution and downloads."""

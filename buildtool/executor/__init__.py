"""The executor turns a graph into layers and images: keys, cache, schedule, work."""

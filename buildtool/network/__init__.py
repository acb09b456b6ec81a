"""The recorded internet: names, HTTP and HTTPS of one step, answered by us, recorded and replayed."""

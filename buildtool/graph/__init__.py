"""The graph: the closed set of step kinds that both frontends lower to.  It knows no I/O."""

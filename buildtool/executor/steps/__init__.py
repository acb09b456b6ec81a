"""How each kind of step is carried out, one module a kind."""

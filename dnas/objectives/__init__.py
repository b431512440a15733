"""How expected costs enter what the outer level minimises: one factory a file, `(limits, **settings) -> Penalty`."""

"""Tabular benchmarks: one module for each, named after its search space, with `load` and `reference_networks`.

`load(path=None, data_dir=None)` returns a `dnas.table.Table`; `reference_networks()` returns `(name, genotype)` pairs
that every search on the space can be held against. Another package adds its own through the entry-point group
`dnas.benchmarks`.
"""

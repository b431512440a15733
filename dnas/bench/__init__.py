"""Measuring what a search costs: tracing, compiling, running, memory, and ratios against other programs.

`python -m dnas.bench` (from a checkout: `scripts/bench`) parses; `request` lays out what is measured, `cases` builds
the programs, `measure` measures one point with every contender interleaved, `record` is what came of it, and `table`,
`picture` and `bench.json` show it. Nothing here is imported by the rest of the library.
"""

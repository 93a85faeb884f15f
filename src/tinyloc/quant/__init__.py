"""From a trained model to integers: float graph, ranges, lowering, the reference in NumPy.

Read in this order: `graph` (the typed operators), `tables` (the three nonlinear shapes), `reference` (the
truth), `float_graph` (the same operators in floating point), `mamba` (checkpoint -> float graph),
`calibrate`, `lower`, `attribution` (which operator costs most), `storage` (the file).
"""

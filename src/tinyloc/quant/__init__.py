"""From a trained model to integers: float graph, ranges, lowering, the reference in NumPy.

Read in this order: `operator`, `operators`, `window_operators`, `graph` (what an integer model is); `tables`,
`arithmetic`, `reference` and `window_reference` (the truth); `float_graph` and `float_window` (the same in
floating point); `mamba` and `window_families` (checkpoint -> float graph); `calibrate`, `lower` and
`lower_window`; `attribution` (which operator costs most); `storage` (the file); `replay` (what the device is
fed); `torch_graph` and `qat` (training on the integers themselves, with torch).
"""

"""The models: input scaling, the checkpoint file, Mamba and the classical baselines.

`scaling`, `config`, `checkpoint` and `classic` need no torch; `mamba` and `scan` do.
"""

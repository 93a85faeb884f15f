"""The models: input scaling, the checkpoint file, every family of networks and the classical baselines.

`families` is the door to all networks. `scaling`, `config`, `checkpoint`, `statistics`, `sinusoid`, `decode`
and `classic` need no torch; `families` and the networks do.
"""

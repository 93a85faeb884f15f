"""The verbs: each takes a run folder, does one room's work, and leaves that room's file in it.

`folder` names the files and keeps `run.json`; `stages` holds data, train, quantise and emit; `verify` builds,
runs and judges; `run` does all in order, for one seed or several.
"""

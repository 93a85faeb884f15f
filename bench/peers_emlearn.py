"""Runs with emlearn: the pickled scikit-learn forest of argument 1 as the C header of argument 2, way 3."""

import pickle
import sys
from pathlib import Path

import emlearn

source, header, way = sys.argv[1:]
converted = emlearn.convert(pickle.loads(Path(source).read_bytes()), method="inline", dtype="int16_t")
converted.save(file=header, name="peer", inference=[way])
Path(header + ".include").write_text(emlearn.includedir)

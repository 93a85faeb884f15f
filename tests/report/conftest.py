"""The example results live beside the tests of the schema."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "judge"))

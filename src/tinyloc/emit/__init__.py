"""Integer graph -> C files.

`literals` makes C text from arrays and names, `plan` gives every tensor its place in RAM, `write` fills the
templates. The generated code is data and a list of calls; the kernels in `csrc/` do the work.
"""

from tinyloc.emit.write import emit

__all__ = ["emit"]

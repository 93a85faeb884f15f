"""`python -m tinyloc`: the command line."""

from tinyloc.cli import main

main()

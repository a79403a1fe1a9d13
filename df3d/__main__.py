"""`python -m df3d` is `df3d`."""

from df3d.cli import main

main()

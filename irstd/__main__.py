"""`python -m irstd`, where the command `irstd` is not on the path."""

from irstd.apps.cli import main

if __name__ == "__main__":
    main()

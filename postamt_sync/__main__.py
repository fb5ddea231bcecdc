"""`python -m postamt_sync` is the command `postamt-sync`."""

from postamt_sync.cli.main import main

if __name__ == "__main__":
    main()

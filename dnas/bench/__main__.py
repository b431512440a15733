"""`python -m dnas.bench`."""

from dnas.bench.command import main

if __name__ == "__main__":
    main()

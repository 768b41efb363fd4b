"""`python -m motiongan`: the same as the `motiongan` command."""

from motiongan.cli.main import run

if __name__ == "__main__":
    run()

"""Says hello."""

import argparse


def main() -> None:
    """The program `greet`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="build")
    print(f"Hello, {parser.parse_args().name}!")

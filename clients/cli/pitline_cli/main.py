"""Entry of the command; everything heavy is imported when it is called."""


def main() -> None:
    """Run `pitline` with the arguments of this process, and exit with a code of `pitline_cli.exits`."""
    from pitline_cli.app import app

    app(prog_name="pitline")


if __name__ == "__main__":
    main()

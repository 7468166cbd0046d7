def getResolvedOptions(argv: list, names: list) -> dict:
    """`--name value` of each."""
    return {name: argv[argv.index(f"--{name}") + 1] for name in names}

"""Names that a command line asks for, a list after one flag."""


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def chosen(parser, flag: str, asked: list[str], allowed) -> list[str]:
    """What was asked for; ends the program when a name is none of those allowed."""
    for name in asked:
        if name not in allowed:
            parser.error(f"{flag} {name}: no such name; allowed: {', '.join(allowed)}")
    return asked

"""Numbers as people read them; a no-break space stands between a number and its unit."""

SPACE = "\u00a0"
DASH = "\u2013"


def count(value: int | None) -> str:
    """Return a count with three digits: 3349342 as "3.35 M", 999 as it is; a dash for `None`."""
    if value is None:
        return DASH
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit * 0.9995:
            return f"{_three(value / limit)}{SPACE}{prefix}"
    return str(value)


def percent(share: float | None, images: int = 1000) -> str:
    """Return a share of `images` in percent, with two decimals where so many images can tell them apart."""
    if share is None:
        return DASH
    return f"{100 * share:.{2 if images >= 2000 else 1}f}{SPACE}%"


def duration(seconds: float | None) -> str:
    """Return a time in the two largest units that matter: 83 as "1 min 23 s"; a dash for `None`."""
    if seconds is None:
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f}{SPACE}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 1:
        return f"{rest}{SPACE}s"
    if minutes < 60:
        return f"{minutes}{SPACE}min" + (f" {rest}{SPACE}s" if rest else "")
    hours, minutes = divmod(round(whole / 60), 60)
    if hours < 48:
        return f"{hours}{SPACE}h" + (f" {minutes}{SPACE}min" if minutes else "")
    days, hours = divmod(round(whole / 3600), 24)
    return f"{days}{SPACE}d" + (f" {hours}{SPACE}h" if hours else "")


def cell_title(group: str) -> str:
    """Return what a group's cell is called: "normal cell", but "cell" where the group is just that."""
    return group if group.endswith("cell") else f"{group} cell"


def plural(number: int, noun: str) -> str:
    """Return "1 edge", "2 edges"."""
    return f"{number:,}{SPACE}{noun}{'' if number == 1 else 's'}"


def _three(value: float) -> str:
    size = abs(value)
    return f"{value:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"

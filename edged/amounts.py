"""Amounts of bytes in words: the one wording of the terminal, of alarms and of errors."""


def amount(size_bytes: int) -> str:
    """Write an amount of bytes as people read it: `1.2 GB`, in powers of ten."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - powers of ten
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"

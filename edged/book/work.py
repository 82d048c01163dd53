"""Notes of work under way: uploads and what is settled. Losing them costs time, never evidence."""

from edged.book.database import Database


class Work:
    """Work tables of the book; also the parts log of uploads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, key: str) -> tuple[str, dict[int, str]] | None:
        """Give upload id and parts (number to ETag) of an upload under way."""
        row = self._database.row("upload", key=key)
        if row is None:
            return None
        parts = self._database.rows("upload_parts", key=key)
        return row["upload_id"], {int(part["part"]): str(part["etag"]) for part in parts}

    def begin(self, key: str, upload_id: str) -> None:
        """Note a new upload; parts of an earlier one to the same key are forgotten."""
        with self._database.write():
            self._database.run("forget_upload", key=key)
            self._database.run("begin_upload", key=key, upload_id=upload_id)

    def done(self, key: str, part: int, etag: str) -> None:
        """Note a part that the store has taken."""
        self._database.run("part_done", key=key, part=part, etag=etag)

    def forget(self, key: str) -> None:
        """Forget an upload that is complete or gone."""
        self._database.run("forget_upload", key=key)

    def settle(self, segment: str, work: str, outcome: str) -> None:
        """Note that a piece of work on a segment is done or cannot be done, so that it is not due again."""
        self._database.run("settle", segment=segment, work=work, outcome=outcome)

    def is_settled(self, segment: str, work: str) -> bool:
        """Say whether a piece of work on a segment is done, or cannot be done."""
        return self._database.row("is_settled", segment=segment, work=work) is not None

    def mark(self, work: str) -> int:
        """Give the position up to which a kind of work is known to be done; 0 where nothing is known."""
        row = self._database.row("mark", work=work)
        return 0 if row is None else int(row["position"])

    def set_mark(self, work: str, position: int) -> None:
        """Note that a kind of work is done up to a position; it may have moved back, too."""
        self._database.run("set_mark", work=work, position=position)

    def tiles_published(self, epoch: int) -> int:
        """Give the tree size whose tiles central storage holds."""
        row = self._database.row("tiles_published", epoch=epoch)
        return 0 if row is None else int(row["size"])

    def tiles_are_published(self, epoch: int, size: int) -> None:
        """Note that central storage holds the tiles of a tree of this size."""
        self._database.run("tiles_are_published", epoch=epoch, size=size)

"""The SQLite file under the results: opened late, shared by many processes, replaced when broken.

Rollback journal in TRUNCATE mode, not WAL: every released SQLite handles it well.
All that is kept here can be made again, so a file that is no database any more is
moved away to `index.sqlite.broken` and begun anew.
"""

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from buildtool.diag import BuildError
from buildtool.store.faults import store_fault
from buildtool.store.stamps import locked

if TYPE_CHECKING:
    import sqlite3

#: Seconds to wait for other processes' transactions.
PATIENCE = 60.0

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL,
    used INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layer_blobs (diff_id TEXT, compression TEXT, digest TEXT NOT NULL,
    size INTEGER NOT NULL, PRIMARY KEY (diff_id, compression)) WITHOUT ROWID;
"""

# Primary result codes (sqlite.org/rescode.html).
_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26

_Result = TypeVar("_Result")


class Database:
    """One connection, used by one thread at a time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def select(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        return self._do(lambda c: c.execute(sql, values).fetchall())

    def write(self, statements: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        """Carry out statements, each for many rows, in one transaction that is on disk afterwards."""

        def transaction(connection: "sqlite3.Connection") -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for sql, rows in statements:
                    connection.executemany(sql, rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        self._do(transaction)

    def close(self) -> None:
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _do(self, action: "Callable[[sqlite3.Connection], _Result]") -> _Result:
        import sqlite3

        with self._mutex:
            for last in (False, True):
                try:
                    return action(self._connected())
                except sqlite3.DatabaseError as exc:
                    if last or not self._recover(exc):
                        raise _told(exc, self.path) from exc
        raise AssertionError("unreachable")

    def _connected(self) -> "sqlite3.Connection":
        if self._connection is None:
            import sqlite3

            connection = sqlite3.connect(
                self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                    _lay_out(connection)
                # A setting of the connection, not of the file.
                connection.execute("PRAGMA journal_mode=TRUNCATE")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _recover(self, exc: "sqlite3.DatabaseError") -> bool:
        """Whether a second try is worth while: the file was broken, or another process moved it away."""
        code = (getattr(exc, "sqlite_errorcode", 0) or 0) & 0xFF
        self.close()
        if code in (_CORRUPT, _NOTADB):
            with locked(f"{self.path}.lock", fcntl.LOCK_EX):
                if _is_broken(self.path):
                    # The journal goes first: left alone, it would be played into the new file.
                    for suffix in ("-journal", ""):
                        try:
                            os.replace(self.path + suffix, f"{self.path}.broken{suffix}")
                        except FileNotFoundError:
                            pass
            return True
        return code == _READONLY and os.access(os.path.dirname(self.path), os.W_OK)


def _lay_out(connection: "sqlite3.Connection") -> None:
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != _VERSION:
        if version != 0:
            # Another release's tables: what they held can be made again.
            for table in ("results", "layer_blobs"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={_VERSION}")
    connection.execute("COMMIT")


def _is_broken(path: str) -> bool:
    """Whether the file is still the broken one, and not the new one of a process that was faster."""
    import sqlite3

    connection = sqlite3.connect(path, timeout=PATIENCE)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True
    finally:
        connection.close()


def _no_room(path: str) -> bool:
    """Whether no blocks or inodes are left; SQLite does not say why it could not open a file."""
    room = os.statvfs(os.path.dirname(path))
    return room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0)


def _told(exc: "sqlite3.DatabaseError", path: str) -> BuildError:
    code = (getattr(exc, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == _FULL or (code in (_CANTOPEN, _IOERR) and _no_room(path)):
        return store_fault(OSError(errno.ENOSPC, ""), "writing the store's index")
    if code in (_BUSY, _LOCKED):
        return BuildError(
            "store-busy", f"{path} was in use by other builds for {PATIENCE:.0f} s", exit_status=1
        )
    return BuildError("store-fault", f"{exc} in {path}", exit_status=1)

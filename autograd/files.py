"""Files that are never half-written, and text that is read as UTF-8 or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

#: Here, a name leads to an open file, in whose place nothing can be put.
_STREAMS = ("/dev", "/dev/fd", "/proc/self/fd")


def replace(path: Path, content: bytes) -> None:
    """Write a file so that there is either the old one or the new one, whole.

    The new one is on the disk before it takes the old one's place, so this holds if the process is killed
    or the power fails; then, a file ``.unfinished-…`` may be left beside it. Permissions stay, and a link
    still leads to the file; a hard link leads to the old one. A stream, such as /dev/stdout or a pipe, has
    no old content, and is written to.

    Raises:
        OSError: if it cannot be written. Then the old one is as it was.
    """
    target = Path(os.path.realpath(path))  # what a link points to, not the link
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(target.parent)!r} to write {path.name!r} in")
    try:
        if is_stream(path):
            with path.open("ab") as stream:
                stream.write(content)
        else:
            _replace(target, content)
    except OSError as error:
        told = OSError(error.errno, error.strerror, str(path))  # whose own name is the unfinished one's, or none
        told.add_note("nothing was replaced: make room, or write to another place")
        raise told from None


def _replace(target: Path, content: bytes) -> None:
    unfinished = target.with_name(f".unfinished-{os.urandom(8).hex()}")
    try:
        with unfinished.open("xb") as file:
            if os.path.lexists(target):
                target.open("ab").close()  # what may not be written to is an error, and not replaced
                shutil.copymode(target, unfinished)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def is_stream(path: Path) -> bool:
    """Whether a path leads to a pipe, a terminal or the like; /dev/stdout does, even into a file."""
    return str(path.parent) in _STREAMS or (path.exists() and not path.is_file() and not path.is_dir())


def read(path: Path) -> str:
    """The text of a file in UTF-8, with or without a mark at its start.

    Raises:
        ValueError: if it is no such text; it names the line.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        binary = b"\0" in file.peek()  # such as the image of a disk, which would fill the memory
        content = b"\xff" if binary else file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: this is not UTF-8; save the file as UTF-8 text") from None

"""The secret that signs sign-in cookies: made once, kept in the home folder, readable by its owner only."""

from __future__ import annotations

import os
import secrets

from core.errors import StorageError
from core.settings import Settings

SECRET_FILE = "cookie-secret"  # noqa: S105 -- the name of the file, not the secret
_SECRET_BYTES = 32


def cookie_secret(settings: Settings) -> str:
    """Return the signing secret of this home, making it on first use.

    Two processes that start at once agree: the file is created exclusively, and who comes second reads it.

    Raises:
        StorageError: the home folder cannot be written or the file cannot be read.
    """
    path = settings.home / SECRET_FILE
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        fresh = settings.home / f".{SECRET_FILE}-{os.getpid()}"
        if not path.exists():
            _write_private(fresh, text=secrets.token_urlsafe(_SECRET_BYTES))
            try:
                os.link(fresh, path)  # atomic, and refuses to replace: nobody reads a half-written secret
            except FileExistsError:
                pass
            finally:
                fresh.unlink(missing_ok=True)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise StorageError(
            f"The sign-in secret {path} cannot be made or read ({err}). "
            "Give the folder write permission, or choose another one with SECOND_READ_HOME."
        ) from err
    if len(secret) < _SECRET_BYTES:
        raise StorageError(f"The sign-in secret {path} is damaged. Remove it; everybody then signs in anew.")
    return secret


def _write_private(path: os.PathLike[str], *, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)

"""Set-up: brings OpenSeadragon 6.1.1, which draws the slides, into this installation, and checks that it is that file.

It is not committed. Run `python -m core.setup_assets` once after installing from a checkout, and before building a
wheel: the wheel then carries the library with its licence, so that nothing is fetched on an intranet. Only the standard
library is used, and neither Node nor another web host is needed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

OPENSEADRAGON_SHA256 = "86b60a9088c8c162bef278bbf22e070958ded16acf4627a73e206c95ea42831e"
"""Of the unminified openseadragon.js 6.1.1; the file on PyPI and the one on npm are identical."""
OPENSEADRAGON_VARIABLE = "SECOND_READ_OPENSEADRAGON"
"""Environment variable with the path of a copy, for machines that reach no registry."""
VENDOR_DIR = Path(__file__).parent / "server" / "vendor" / "openseadragon"
"""Where the library lies; ignored by git, included in the wheel."""
LIBRARY_NAME = "openseadragon.js"
LICENCE_NAME = "LICENSE.txt"
_IN_SDIST = "examples/deepzoom/static/openseadragon.js"
_IN_NPM_PACKAGE = "package/build/openseadragon/openseadragon.js"

_log = logging.getLogger(__name__)


def is_installed(folder: Path = VENDOR_DIR) -> bool:
    """Tell whether the right file lies in `folder`."""
    path = folder / LIBRARY_NAME
    return path.is_file() and _is_right(path.read_bytes())


def install(folder: Path = VENDOR_DIR, *, environ: Mapping[str, str] = os.environ) -> str:
    """Bring OpenSeadragon and its licence into `folder`, from the nearest place that has it.

    The order is: what is there already, a copy named by SECOND_READ_OPENSEADRAGON, the source archive of
    openslide-python 1.4.7, the npm package.

    Returns:
        Where it came from, in words.

    Raises:
        RuntimeError: no place had the right file; the text says what to do.
    """
    if is_installed(folder):
        return "already there"
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as work:
        for name, content in _candidates(Path(work), environ, problems):
            if _is_right(content):
                _write(folder, content)
                return name
            problems.append(f"{name}: not OpenSeadragon 6.1.1 (another SHA-256)")
    raise RuntimeError(
        f"OpenSeadragon 6.1.1 could not be had ({'; '.join(problems)}). Connect to a package registry and run this "
        f"again, or put the unminified openseadragon.js 6.1.1 somewhere and name it with {OPENSEADRAGON_VARIABLE}."
    )


def _candidates(work: Path, environ: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (place, content) from the cheapest place to the dearest; what fails is added to `problems`."""
    named = environ.get(OPENSEADRAGON_VARIABLE)
    if named:
        try:
            yield OPENSEADRAGON_VARIABLE, Path(named).read_bytes()
        except OSError as err:
            problems.append(f"{OPENSEADRAGON_VARIABLE}: {err}")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    sources = (
        (
            "source archive of openslide-python",
            [*pip, "--no-binary", "openslide-python", "openslide-python==1.4.7"],
            _IN_SDIST,
        ),
        ("npm package", [shutil.which("npm") or "npm", "pack", "--silent", "openseadragon@6.1.1"], _IN_NPM_PACKAGE),
    )
    for name, command, member in sources:
        folder = work / str(len(problems))
        folder.mkdir()
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)  # noqa: S603 -- fixed words
            yield name, _member(folder, member)
        except (OSError, subprocess.SubprocessError, tarfile.TarError, LookupError) as err:
            problems.append(f"{name}: {type(err).__name__}")


def _member(folder: Path, ending: str) -> bytes:
    """Return one file of the only archive in `folder`.

    Raises:
        LookupError: there is no archive, or the file is not in it.
    """
    for archive in folder.iterdir():
        with tarfile.open(archive) as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isfile() and entry.name.endswith(ending) else None
                if content is not None:
                    return content.read()
    raise LookupError(ending)


def _is_right(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == OPENSEADRAGON_SHA256


def licence_text(library: bytes) -> str:
    """Return the licences that stand at the head of the library: its own, and jQuery's for the parts taken from it."""
    comments = library.decode("utf-8").split("*/", 2)[:2]
    lines = [line for comment in comments for line in comment.split("/*", 1)[1].splitlines()]
    return "\n".join(line.removeprefix(" *").removeprefix(" ") for line in lines).strip() + "\n"


def _write(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LICENCE_NAME).write_text(licence_text(content), encoding="utf-8")
    fresh = folder / f".{LIBRARY_NAME}-{os.getpid()}"
    fresh.write_bytes(content)
    fresh.replace(folder / LIBRARY_NAME)


def main() -> int:
    """Run the set-up and say where the library came from."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        source = install()
    except RuntimeError as err:
        _log.error("%s", err)
        return 1
    _log.info("OpenSeadragon 6.1.1: %s.", source)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

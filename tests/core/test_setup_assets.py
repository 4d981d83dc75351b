"""Set-up of OpenSeadragon: the right file or none, from the nearest place, with its licence."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import setup_assets
from core.setup_assets import LIBRARY_NAME, LICENCE_NAME, OPENSEADRAGON_VARIABLE, VENDOR_DIR, install, is_installed


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pip nor npm can be started."""
    monkeypatch.setattr(setup_assets.sys, "executable", "/nowhere/python")
    monkeypatch.setattr(setup_assets.shutil, "which", lambda name: f"/nowhere/{name}")


@pytest.fixture
def library() -> Path:
    if not is_installed():
        pytest.skip("OpenSeadragon is not installed: run python -m core.setup_assets")
    return VENDOR_DIR / LIBRARY_NAME


@pytest.mark.usefixtures("no_registry")
def test_a_named_copy_is_taken_with_its_licences(library: Path, tmp_path: Path) -> None:
    assert install(tmp_path / "new", environ={OPENSEADRAGON_VARIABLE: str(library)}) == OPENSEADRAGON_VARIABLE
    assert (tmp_path / "new" / LIBRARY_NAME).read_bytes() == library.read_bytes()
    licence = (tmp_path / "new" / LICENCE_NAME).read_text()
    for words in ("OpenSeadragon contributors", "THIS SOFTWARE IS PROVIDED", "jQuery", "John Resig"):
        assert words in licence
    assert install(tmp_path / "new", environ={}) == "already there"


@pytest.mark.usefixtures("no_registry")
def test_another_file_is_refused_and_the_sentence_helps(library: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered.js"
    altered.write_bytes(library.read_bytes() + b" ")
    with pytest.raises(RuntimeError, match=r"another SHA-256.*Connect to a package registry"):
        install(tmp_path / "new", environ={OPENSEADRAGON_VARIABLE: str(altered)})
    with pytest.raises(RuntimeError, match=OPENSEADRAGON_VARIABLE):
        install(tmp_path / "new", environ={OPENSEADRAGON_VARIABLE: str(tmp_path / "missing.js")})
    assert not (tmp_path / "new").exists()


def test_it_is_never_committed() -> None:
    ignored = (VENDOR_DIR.parent / ".gitignore").read_text().splitlines()
    assert "*" in ignored

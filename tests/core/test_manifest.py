from __future__ import annotations

from pathlib import Path

import pytest

from core.domain import Stain
from core.errors import InputError
from core.slides.manifest import ManifestRow, read_manifest


def manifest(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path = folder / "slides.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_all_columns_in_any_order(tmp_path: Path) -> None:
    rows = read_manifest(
        manifest(
            tmp_path, f"case,path,mpp,stain,site,scanner\nC1,a.svs,0.25,H&E,breast,AT2\n,{tmp_path}/b.svs,,ihc,,\n"
        )
    )
    assert rows == (
        ManifestRow(tmp_path / "a.svs", case="C1", mpp=0.25, stain=Stain.HE, site="breast", scanner="AT2"),
        ManifestRow(tmp_path / "b.svs", stain=Stain.IHC),
    )


@pytest.mark.parametrize(
    "text",
    ["path\nfolder/a.svs\n", "path;case\nfolder/a.svs;\n", "\ufeffPath , case\r\n\r\nfolder/a.svs\r\n,\r\n"],
    ids=["path only", "semicolons", "byte order mark, blank lines, short rows"],
)
def test_what_spreadsheets_write(tmp_path: Path, text: str) -> None:
    assert read_manifest(manifest(tmp_path, text)) == (ManifestRow(tmp_path / "folder/a.svs"),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,mmp\na.svs,0.5\n", r"Row 1 of slides.csv, column 2: 'mmp' is not a column"),
        ("case,mpp\nC1,0.5\n", r"Row 1 of slides.csv: the column path is missing"),
        ("path,path\na,b\n", r"Row 1 of slides.csv, column 2: path occurs twice"),
        ("path,mpp\na.svs,0.5\nb.svs,abc\n", r"Row 3 of slides.csv, column mpp: 'abc' is not a number"),
        ("path,mpp\na.svs,-0.5\n", r"Row 2 of slides.csv, column mpp: -0.5 is not a usable scale"),
        ("path,mpp\na.svs,nan\n", r"Row 2 of slides.csv, column mpp: nan is not a usable scale"),
        ("path\na.svs\n\na.svs\n", r"Row 4 of slides.csv, column path: a.svs is already in row 2"),
        ("path,stain\na.svs,pas\n", r"Row 2 of slides.csv, column stain: 'pas' is none of"),
        ("path,case\n,C1\n", r"Row 2 of slides.csv, column path: it is empty"),
        ("path,case\na,b.svs,C1\n", r"Row 2 of slides.csv has 3 cells for 2 columns"),
        ("path\n", r"slides.csv lists no slide"),
        ("", r"the column path is missing"),
    ],
)
def test_refusals_name_row_and_column(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_manifest(manifest(tmp_path, text))


def test_missing_or_undecodable_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(InputError, match="UTF-8"):
        read_manifest(manifest(tmp_path, "path\nMüller.svs\n", encoding="latin-1"))

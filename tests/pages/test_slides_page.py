"""Adding slides and watching jobs."""

import numpy as np
import pytest
from PIL import Image

from core.domain import JobState, Stain
from core.server.identity import Role
from core.services.catalogue import get_slide
from core.services.queue.jobs import cancel, list_jobs


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "new scans"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(folder / f"{name}.png")
    return folder


def test_a_folder_is_added_and_queued_with_its_scale_stain_and_case(empty_home, open_page, texts, scans):
    at = open_page("slides.py")
    at.text_input(key="folder_path").set_value(f" {scans} ")
    at.text_input(key="folder_case").set_value("C-7")
    at.number_input(key="folder_mpp").set_value(0.25)
    at.segmented_control(key="folder_stain").set_value(Stain.IHC)
    at.button(key="folder_add").click().run()
    assert not at.exception
    assert "Slides added: 2. Already known: 0. Jobs queued: 2." in texts(at)
    slide = get_slide(empty_home, "a")
    assert (slide.case_id, slide.mpp_override, slide.stain) == ("C-7", 0.25, Stain.IHC)
    at.button(key="folder_add").click().run()
    assert "Slides added: 0. Already known: 2. Jobs queued: 2." in texts(at)
    assert len(list_jobs(empty_home)) == 2


def test_a_manifest_is_added(empty_home, open_page, texts, scans):
    manifest = scans / "manifest.csv"
    manifest.write_text("path,case,mpp\na.png,X,0.5\n")
    at = open_page("slides.py")
    at.text_input(key="manifest_path").set_value(str(manifest))
    at.button(key="manifest_add").click().run()
    assert "Slides added: 1." in texts(at)
    assert get_slide(empty_home, "a").case_id == "X"


def test_an_upload_is_kept_and_added(empty_home, open_page, texts, scans):
    at = open_page("slides.py")
    at.file_uploader[0].upload("mine.png", (scans / "a.png").read_bytes())
    at.text_input(key="upload_case").set_value("U-1")
    at.button(key="upload_add").click().run()
    assert not at.exception
    assert "Slides added: 1." in texts(at)
    assert get_slide(empty_home, "mine").case_id == "U-1"


@pytest.mark.parametrize(
    ("field", "button", "value", "sentence"),
    [
        ("folder_path", "folder_add", "", "Type the path"),
        ("folder_path", "folder_add", "/no/such/folder", "/no/such/folder"),
        ("manifest_path", "manifest_add", "/no/such.csv", "/no/such.csv"),
    ],
)
def test_bad_input_gives_a_sentence(empty_home, open_page, texts, field, button, value, sentence):
    at = open_page("slides.py")
    at.text_input(key=field).set_value(value)
    at.button(key=button).click().run()
    assert not at.exception
    assert sentence in texts(at)
    assert list_jobs(empty_home) == []


@pytest.mark.usefixtures("empty_home")
def test_an_upload_needs_a_file(open_page, texts):
    at = open_page("slides.py")
    at.button(key="upload_add").click().run()
    assert "Choose a file first." in texts(at)


def test_jobs_are_cancelled_and_retried(home, open_page, texts):
    (job,) = list_jobs(home)
    at = open_page("slides.py")
    assert "No worker is running" in texts(at)
    at.button(key=f"cancel_{job.job_id}").click().run()
    assert not at.exception
    assert list_jobs(home)[0].state is JobState.CANCELLED
    at.button(key=f"retry_{job.job_id}").click().run()
    assert list_jobs(home)[0].state is JobState.QUEUED
    at.run()
    assert f"retry_{job.job_id}" not in {button.key for button in at.button}


def test_what_another_tab_did_first_is_said_in_a_sentence(home, open_page):
    (job,) = list_jobs(home)
    at = open_page("slides.py")
    cancel(home, job.job_id, actor="another tab")
    at.button(key=f"cancel_{job.job_id}").click().run()
    assert not at.exception


@pytest.mark.usefixtures("home")
def test_a_viewer_looks_only(open_page, texts):
    at = open_page("slides.py", role=Role.VIEWER)
    assert not at.exception
    assert [button.key for button in at.button] == ["sign_out", "sign_out_everywhere"]
    assert "Your role looks only" in texts(at)


@pytest.mark.usefixtures("home")
def test_about_shows_versions_and_every_card(open_page, texts):
    at = open_page("about.py")
    assert not at.exception
    said = texts(at) + "".join(table.value.to_string() for table in at.table)
    for fact in ("Intended use", "Limits", "streamlit", "torch"):
        assert fact in said

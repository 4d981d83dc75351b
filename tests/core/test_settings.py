"""What the environment may say, and the sentence for what it may not."""

import pytest

from core.errors import InputError
from core.settings import Settings


def test_the_defaults_need_no_environment():
    settings = Settings.from_environment({})
    assert (settings.home.name, settings.model, settings.device, settings.stride_um) == (
        "second-read-data",
        "idc",
        "auto",
        None,
    )


def test_the_environment_overrides(tmp_path):
    settings = Settings.from_environment(
        {
            "SECOND_READ_HOME": str(tmp_path),
            "SECOND_READ_MODEL": "lung",
            "SECOND_READ_DEVICE": "cpu",
            "SECOND_READ_BATCH_SIZE": "8",
            "SECOND_READ_STRIDE_UM": "100",
        }
    )
    assert (settings.home, settings.model, settings.device) == (tmp_path, "lung", "cpu")
    assert (settings.batch_size, settings.stride_um) == (8, 100.0)
    assert settings.log_path == tmp_path / "log.db"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECOND_READ_DEVICE", "tpu"),
        ("SECOND_READ_BATCH_SIZE", "0"),
        ("SECOND_READ_BATCH_SIZE", "many"),
        ("SECOND_READ_READ_THREADS", "-1"),
        ("SECOND_READ_STRIDE_UM", "nan"),
        ("SECOND_READ_STRIDE_UM", "-5"),
        ("SECOND_READ_STRIDE_UM", "wide"),
    ],
)
def test_what_cannot_be_used_is_named(name, value):
    with pytest.raises(InputError, match=name):
        Settings.from_environment({name: value})

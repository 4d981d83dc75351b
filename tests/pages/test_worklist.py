"""The worklist: order, what is hidden, filters, empty states, export."""

import csv
import io

from tests.pages.conftest import texts

from core.domain import FlagKind
from core.server.identity import Role
from core.services.review import reveal_model


def table(at):
    return at.dataframe[0].value

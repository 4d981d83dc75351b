"""A server with the viewer's routes and nothing else, for the browser tests and the benchmark of the tile route."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.server.secret import cookie_secret
from core.server.sign_in import login_route
from core.server.viewer import viewer_routes
from core.settings import Settings

SETTINGS = Settings.from_environment()
SECRET = cookie_secret(SETTINGS)

app = st.App(
    Path(__file__).with_name("viewer_page.py"),
    secrets={"auth": {"cookie_secret": SECRET}},
    routes=[login_route(SETTINGS, SECRET), *viewer_routes(SETTINGS, secret=SECRET)],
)

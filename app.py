"""The dashboard's entry: `streamlit run app.py` serves the pages, our routes, and supervises the worker.

The worker runs in a process of its own, because computing in a thread of the server starves every picture request.
SECOND_READ_WORKER=none leaves it out, for a worker that was started by hand.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from core.server.auth_settings import read_auth_settings
from core.server.latency import send_small_answers_at_once
from core.server.return_to import ReturnTo
from core.server.routes import allowed_hosts, routes
from core.server.secret import cookie_secret
from core.server.viewer import viewer_routes
from core.services.queue.worker import supervise
from core.settings import Settings

SETTINGS = Settings.from_environment()
SECRET = cookie_secret(SETTINGS)
AUTH = read_auth_settings(SETTINGS)

send_small_answers_at_once()


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Keep one worker alive for as long as the server runs."""
    if os.environ.get("SECOND_READ_WORKER") == "none":
        logging.getLogger(__name__).info("No worker is started: SECOND_READ_WORKER is none.")
        yield
        return
    async with supervise(SETTINGS):
        yield


app = st.App(
    "pages/router.py",
    secrets={"auth": {**AUTH.secrets, "cookie_secret": SECRET}},
    routes=[*routes(SETTINGS, SECRET), *viewer_routes(SETTINGS, secret=SECRET)],
    middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(os.environ)), Middleware(ReturnTo)],
    lifespan=lifespan,
)

if __name__ == "__main__":
    app.run()

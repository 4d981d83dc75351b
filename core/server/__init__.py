"""Starlette routes beside the pages: demonstration sign-in, health, and the guards around them."""

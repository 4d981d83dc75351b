"""The screens: one thin Streamlit script each, and `router.py`, which holds the sign-in gate."""

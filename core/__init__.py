"""The domain of Second Read: no Streamlit and no torch below this package."""

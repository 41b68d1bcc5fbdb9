"""What pages lean on of Streamlit's inside, all of it: an upgrade that moves it breaks when this is imported."""

from __future__ import annotations

from streamlit import config
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.secrets import secrets_singleton

__all__ = ["DeltaGenerator", "config", "get_script_run_ctx", "secrets_singleton"]

"""Settings of the adapter: a TOML file, the environment over it (`PITLINE_TEMPLATE_…`)."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from pitline_rpc.config import Settings


class TemplateSettings(Settings):
    """What a venue needs beyond this, its address and its secrets, is yours to add."""

    model_config = SettingsConfigDict(env_prefix="PITLINE_TEMPLATE_")

    bind: str = "127.0.0.1:7430"
    """Where to serve, "IP address:port"."""
    data_dir: Path = Path("data/template")
    """Where the store is kept."""

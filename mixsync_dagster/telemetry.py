"""Which spans the settings ask for."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.ports.spans import SilentSpans, Spans

if TYPE_CHECKING:
    from mixsync_dagster.settings import Settings


def spans_for(settings: Settings) -> Spans:
    """Return the spans of this process. Raises ConfigurationError when their library is not installed."""
    if settings.traces_url is None:
        return SilentSpans()
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ConfigurationError(
            "MIXSYNC_TRACES_URL needs the library opentelemetry-sdk, which is not installed; "
            "install it by `pip install 'mixsync-dagster[traces]'`."
        )
    return _to_collector(settings.traces_url)


@cache
def _to_collector(url: str) -> Spans:
    # Once a process: it sends from a thread of its own.
    from mixsync_dagster.transport.spans import OtelSpans

    return OtelSpans.to_collector(url)

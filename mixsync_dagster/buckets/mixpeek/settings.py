"""How one bucket of the service is reached, in plain values; made by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixsync_dagster.transport.addresses import AddressPolicy

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MixpeekSettings:
    """One bucket of one namespace, and how it is spoken to."""

    base_url: str
    """Without /v1 and without a trailing slash."""
    namespace: str
    bucket: str
    """Id or name of the bucket there."""
    api_key: str = field(repr=False)
    most_file_bytes: int = 50 * 1024**3
    """Larger files are refused before they are sent: the largest tier's limit, or that of the tier that was named."""
    requests_per_minute: int | None = None
    """Calls of the API that are made within a minute at most; None: as many as the service bears."""
    spool_folder: Path | None = None
    """Where contents wait for their upload; None: the system's folder for temporary files."""
    spool_bytes: int = 256 * _MIB
    """Contents held before the run is asked to put them; one large file more may be held."""
    verify: bool | str = True
    """As HttpSettings.verify."""
    addresses: AddressPolicy | None = None
    """Where bytes may be sent to besides the base address, as HttpSettings.addresses."""
    list_lag_seconds: float = 2.0
    """How long a list may not tell yet what was created. Inferred: no source says that lists lag, nor how long."""

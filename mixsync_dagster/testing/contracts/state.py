"""What every state store has to do.

Bind it in an adapter's tests:

    class TestMyStore(StateStoreContract):
        @pytest.fixture
        def store(self) -> Iterator[StateStore]: ...

`store` is empty and new for each test. The clock of its leases may be a real one: nothing here waits.
"""

from __future__ import annotations

from mixsync_dagster.testing.contracts.state_control import ConfigStoreContract, DispatchContract
from mixsync_dagster.testing.contracts.state_effects import CommitContract, InventoryContract
from mixsync_dagster.testing.contracts.state_letters import DeadLetterControlContract
from mixsync_dagster.testing.contracts.state_refusals import RefusalContract
from mixsync_dagster.testing.contracts.state_runs import BatchContract, DeadLetterContract, LockContract, RunContract
from mixsync_dagster.testing.contracts.state_samples import StateStore

__all__ = ["StateStore", "StateStoreContract"]


class StateStoreContract(
    LockContract,
    InventoryContract,
    CommitContract,
    RefusalContract,
    DeadLetterContract,
    DeadLetterControlContract,
    BatchContract,
    RunContract,
    ConfigStoreContract,
    DispatchContract,
):
    """Everything at once."""

"""A real Redis on a data folder of its own, for the state and for commands that attach to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleetbeat.stack.stack import Parts, Stack
from shared.settings import Settings
from shared.state.store import Store
from tests.support.fleet import Product


@pytest.fixture
def running(product: Product) -> Iterator[Store]:
    """The state of the product's data folder, with Redis up and nothing else."""
    with Stack(Settings(data_dir=product.data), Parts(beat=False, workers=False)) as stack:
        yield stack.store

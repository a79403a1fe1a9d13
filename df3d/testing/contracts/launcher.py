"""What a launcher promises."""

from __future__ import annotations

import sys
import time
from typing import ClassVar
from unittest import SkipTest

from df3d.errors import Df3dError
from df3d.plugin.records import (
    LauncherPlugin,
)
from df3d.testing.contracts.contract import Contract


class LauncherContract(Contract):
    """It starts workers, or says how; `starts` is False for one that leaves the starting to others."""

    kind = "launcher"
    starts: ClassVar[bool] = True

    @property
    def plugin(self) -> LauncherPlugin:
        return self.catalog.launchers.get(self.name)

    def test_it_starts_as_many_workers_as_it_is_told_and_they_end(self) -> None:
        try:
            self.plugin.ask("ready", self.config)
        except Df3dError as error:
            raise SkipTest(f"it cannot work here: {error.message}") from None
        workers = self.plugin.build(self.config).start([sys.executable, "-c", "pass"], 2, {"DF3D_X": "1"})
        assert len(workers) == 2
        until = time.monotonic() + 120
        while any(worker.poll() is None for worker in workers) and time.monotonic() < until:
            time.sleep(0.05)
        assert [worker.poll() for worker in workers] == [0, 0]

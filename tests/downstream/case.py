"""What the tests of the warehouse share: the whole dump staged once, and loaded once."""

import shutil
import unittest
from functools import cache

import warehouse
from lake import Lake
from warehouse import Warehouse

EARLY = 16


@cache
def whole_lake() -> Lake:
    """Every record of the dump; nobody may change it."""
    lake = Lake(warehouse.server().folder_for("lake"))
    lake.fill()
    return lake


@cache
def early_lake() -> Lake:
    """The first hours of it, where more would only take longer."""
    lake = Lake(warehouse.server().folder_for("lake"))
    lake.fill(EARLY)
    return lake


@cache
def warehouse_of(source) -> tuple:
    """(name of a database with everything of a lake loaded, its hours); nobody may change it."""
    loaded = Warehouse(source())
    hours = loaded.load_everything()
    loaded.close()
    return loaded.name, hours


class WarehouseCase(unittest.TestCase):
    """Makes databases that are gone after the test."""

    source = staticmethod(whole_lake)
    """What is staged."""

    def lake(self) -> Lake:
        """A lake of its own, with everything in it, to be changed."""
        folder = warehouse.server().folder_for("lake")
        self.addCleanup(shutil.rmtree, folder)
        return self.source().copy_to(folder)

    def empty(self, lake: Lake | None = None) -> Warehouse:
        """A database with nothing loaded; over everything, unless another lake is given."""
        made = Warehouse(lake or self.source())
        self.addCleanup(made.drop)
        return made

    def loaded(self, lake: Lake | None = None) -> Warehouse:
        """A database with everything loaded."""
        name, self.hours = warehouse_of(self.source)
        made = Warehouse(lake or self.source(), template=name)
        self.addCleanup(made.drop)
        return made

    def incomplete(self, made: Warehouse) -> list:
        """Intervals that the view does not call complete."""
        return made.rows("SELECT topic_class, from_time, missing_live FROM completeness WHERE complete NOT IN ('yes', 'not yet') ORDER BY 1, 2")

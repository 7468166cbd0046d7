"""What the tests of the warehouse share: the whole dump staged once, and loaded once."""

import shutil
import unittest
from functools import cache

import warehouse
from lake import Lake
from warehouse import Warehouse


@cache
def whole_lake() -> Lake:
    """Every record of the dump; nobody may change it."""
    lake = Lake(warehouse.server().folder_for("lake"))
    lake.fill()
    return lake


@cache
def whole_warehouse() -> tuple:
    """(name of a database with everything loaded, its hours); nobody may change it."""
    loaded = Warehouse(whole_lake())
    hours = loaded.load_everything()
    loaded.close()
    return loaded.name, hours


class WarehouseCase(unittest.TestCase):
    """Makes databases that are gone after the test."""

    def lake(self) -> Lake:
        """A lake of its own, with everything in it, to be changed."""
        folder = warehouse.server().folder_for("lake")
        self.addCleanup(shutil.rmtree, folder)
        return whole_lake().copy_to(folder)

    def empty(self, lake: Lake | None = None) -> Warehouse:
        """A database with nothing loaded; over everything, unless another lake is given."""
        made = Warehouse(lake or whole_lake())
        self.addCleanup(made.drop)
        return made

    def loaded(self, lake: Lake | None = None) -> Warehouse:
        """A database with everything loaded."""
        name, self.hours = whole_warehouse()
        made = Warehouse(lake or whole_lake(), template=name)
        self.addCleanup(made.drop)
        return made

    def incomplete(self, made: Warehouse) -> list:
        """Intervals that the view does not call complete."""
        return made.rows("SELECT topic_class, from_time, missing_live FROM completeness WHERE complete NOT IN ('yes', 'not yet') ORDER BY 1, 2")

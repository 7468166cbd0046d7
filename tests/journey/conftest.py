"""The long ones first: what begins last should end soon."""

LONG = {"test_survey", "test_restarts", "test_eventbridge", "test_support"}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)

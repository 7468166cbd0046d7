"""The longest ones first: what begins last should end soon."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem != "test_survey")

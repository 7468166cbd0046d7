class Job:
    """Remembers what was committed."""

    committed = []

    def __init__(self, glue):
        self.name = None

    def init(self, name, options):
        self.name = name

    def commit(self):
        Job.committed.append(self.name)

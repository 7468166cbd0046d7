"""What is taken away is named; and what is printed at the end."""

from account import Truth, as_table, figures, levels, wrong
from ground import BUCKET, Ground, say
from warehouse import Warehouse


def deletions(made: Warehouse, ground: Ground, found: Truth) -> list[str]:
    """An object and a row are deleted; every record of them has to be named, and nothing else."""
    trouble, bucket = [], made.lake
    key, rows = max(bucket.of_events().items(), key=lambda item: len(item[1]))
    body = ground.s3.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
    elsewhere = {row[:2] for other, kept in bucket.of_events().items() if other != key for row in kept}
    gone = {row[:2] for row in rows} - elsewhere
    second = Warehouse(bucket)
    hours = second.list_objects()
    ground.s3.client().delete_object(Bucket=BUCKET, Key=key)
    second.list_objects()
    second.load(hours)
    named = second.rows("SELECT kafka_partition, kafka_offset, object_url, object_state FROM missing_rows")
    if {row[:2] for row in named} != gone or {row[2:] for row in named} - {(f"s3://{BUCKET}/{key}", "gone")}:
        trouble.append(f"object {key} was deleted: {len(gone)} rows of it are missing, named are {len(named)}: {named[:3]}")
    states = second.rows("SELECT complete, COUNT(*), SUM(missing_live) FROM completeness GROUP BY complete ORDER BY complete")
    say(f"object {key} deleted: {len(named)} rows named; completeness {states}")
    if gone and "no" not in {state for state, *_ in states}:
        trouble.append("an object was deleted, and no interval is incomplete")
    ground.s3.client().put_object(Bucket=BUCKET, Key=key, Body=body)
    second.load(second.list_objects())
    if left := second.rows("SELECT * FROM missing_rows"):
        trouble.append(f"the object is back, and {len(left)} rows are missing: {left[:3]}")
    (ident, partition, offset), = second.rows("SELECT event_id, kafka_partition, kafka_offset FROM conversation_events WHERE origin = 'live' LIMIT 1")
    second.connection.execute("DELETE FROM conversation_events WHERE event_id = %s", (ident,))
    named = second.rows("SELECT event_id, kafka_partition, kafka_offset, reason FROM missing_rows")
    say(f"row {ident} deleted: named {named}")
    if named != [(ident, partition, offset, "deleted")]:
        trouble.append(f"row {ident} at {partition}/{offset} was deleted, named are {named[:3]}")
    # the reckoning itself can fail: it sees the row, too
    if "ids in Kafka, not in SQL: 1 instead of 0" not in wrong(figures(found, second, bucket)):
        trouble.append(f"row {ident} was deleted, and the reckoning does not miss it")
    second.drop()
    made.lake.fetch()
    return trouble


def story(made: Warehouse) -> str:
    """The conversation that changed most, leg by leg."""
    (conversation, count), = made.rows("SELECT conversation_id, COUNT(*) FROM segments GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1")
    rows = made.rows("SELECT purpose, state, held, started_at, ended_at, known_from FROM segments WHERE conversation_id = %s ORDER BY started_at, purpose", conversation)
    return f"conversation {conversation}, {count} segments\n" + as_table(("purpose", "state", "held", "started_at", "ended_at", "known_from"), rows[:20])


def show(made: Warehouse, counts: dict, found: Truth, given) -> None:
    """The bucket, completeness, gaps, one conversation, the figures."""
    folders = {}
    for entry in made.lake.listed:
        folder = entry["Key"].rpartition("/")[0]
        many, size = folders.get(folder, (0, 0))
        folders[folder] = many + 1, size + entry["Size"]
    print(as_table(("folder", "objects", "bytes"), [(folder, *sums) for folder, sums in sorted(folders.items())]))
    print(as_table(("e.g.",), [(entry["Key"],) for entry in made.lake.listed[:3]]), end="\n\n")
    columns = ("topic_class", "level", "complete", "intervals", "expected_live", "loaded_live", "missing_live")
    print(as_table(columns, made.rows(
        "SELECT topic_class, level, complete, COUNT(*), SUM(expected_live), SUM(loaded_live), SUM(missing_live)"
        " FROM completeness GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")), end="\n\n")
    gaps = made.rows("SELECT cause, state, outcome, from_time, to_time, rows_written FROM gaps ORDER BY from_time")
    print(as_table(("gap: cause", "state", "outcome", "from_time", "to_time", "rows_written"), gaps), end="\n\n")
    print(story(made), end="\n\n")
    print(as_table(("figure", "count"), list(counts.items())))
    print(f"certificates by the independent verifier: {'contradicted' if found.report.total else 'pass'}, {levels(found)}")

"""Event sources and queues: what happens to late, slow or failing work."""

import json
import re

from posthorn.api.authentication import REVOCATION_MS
from posthorn.api.workspace_directory import STALE_MS
from posthorn.delivery import purge_start, purger
from posthorn.delivery.bulk_replay import PAUSE, STALLED_MS
from posthorn.delivery.claims import LEASE_MARGIN_MS
from posthorn.delivery.dispatcher import MARGIN_MS
from posthorn.domain.retry_policy import MAX_DELAY
from posthorn.settings import DeliverySettings
from tests.stack.breakages import broken_by
from tests.stack.test_settings import variables_of
from tests.template import MAPPING, QUEUE, ROOT, Json, Template, resolve, target

STREAM_RETENTION = 86_400  # DynamoDB keeps stream records for a day
LONG_POLL = 20  # seconds that a batch may gather at low traffic, however short the window


def mappings_of(stack: Template) -> dict[str, Json]:
    """Return every event source mapping that SAM creates, by `Function.Source`, both logical ids in it."""
    found = {}
    for mapping in stack.translated_of_type(MAPPING).values():
        function = target(mapping["FunctionName"])
        source = target(mapping["EventSourceArn"])
        found[f"{function}.{source}"] = {**mapping, "function": function, "source": source.partition(".")[0]}
    return found


def dead_letter_queue_of(stack: Template, mapping: Json) -> str:
    """Return the logical id of the queue that receives what a source gives up."""
    if queue := stack.of_type(QUEUE).get(mapping["source"]):
        destination = queue["RedrivePolicy"]["deadLetterTargetArn"]
    else:
        destination = mapping["DestinationConfig"]["OnFailure"]["Destination"]
    return target(destination).removesuffix(".Arn")


@broken_by(
    ("Queue: !GetAtt Retry15MinQueue.Arn", "Queue: !GetAtt DispatchDeadLetterQueue.Arn"),
)
def test_the_sources_are_the_outbox_and_seven_queues(stack: Template) -> None:
    """DispatchFunction reads the stream, four functions read queues, and none reads a dead-letter queue."""
    assert sorted(mappings_of(stack)) == [
        "DeliverFunction.DeliverQueue.Arn",
        "DeliverFunction.Retry15MinQueue.Arn",
        "DeliverFunction.Retry1MinQueue.Arn",
        "DeliverFunction.Retry5MinQueue.Arn",
        "DispatchFunction.EventsTable.StreamArn",
        "FeedbackFunction.FeedbackQueue.Arn",
        "PurgeFunction.PurgeQueue.Arn",
        "ReplayFunction.ReplayQueue.Arn",
    ]


@broken_by(
    (
        "            FunctionResponseTypes: [ReportBatchItemFailures]\n            ScalingConfig",
        "            ScalingConfig",
    ),
)
def test_a_failed_record_does_not_take_its_batch_along(stack: Template) -> None:
    """Every source lets its function report the records that failed."""
    for name, mapping in mappings_of(stack).items():
        assert mapping.get("FunctionResponseTypes") == ["ReportBatchItemFailures"], name


@broken_by(
    (
        "Destination: !GetAtt DispatchDeadLetterQueue.Arn",
        "Destination: !GetAtt DeliverDeadLetterQueue.Arn",
    ),
    ("      RedrivePolicy: *AfterTooManyReceives\n", ""),
    (
        "DEAD_LETTER_QUEUE_URL: !Ref FeedbackDeadLetterQueue",
        "DEAD_LETTER_QUEUE_URL: !Ref DeliverDeadLetterQueue",
    ),
)
def test_failed_work_is_kept(stack: Template) -> None:
    """Every source has a dead-letter queue in the template, the same one that the function itself uses."""
    for name, mapping in mappings_of(stack).items():
        dead_letters = dead_letter_queue_of(stack, mapping)
        assert dead_letters in stack.of_type(QUEUE), name
        assert dead_letters == target(stack.variables(mapping["function"])["DEAD_LETTER_QUEUE_URL"]), name


@broken_by(
    ("MessageRetentionPeriod: 1209600 # 14 days, longer", "MessageRetentionPeriod: 345600 # as long"),
    ("MessageRetentionPeriod: 1209600 # 14 days, the longest", "MessageRetentionPeriod: 86400 # one day"),
)
def test_a_dead_letter_is_kept_longer_than_it_waited(stack: Template) -> None:
    """A message keeps its age when it moves, so a dead-letter queue must keep it longer than its source."""
    queues = stack.of_type(QUEUE)
    for name, mapping in mappings_of(stack).items():
        source = queues.get(mapping["source"])
        kept = source["MessageRetentionPeriod"] if source else STREAM_RETENTION
        assert queues[dead_letter_queue_of(stack, mapping)]["MessageRetentionPeriod"] > kept, name


@broken_by(
    ("maxReceiveCount: &Receives 20", "maxReceiveCount: &Receives 19"),
    ("maxReceiveCount: *Receives", "maxReceiveCount: 5"),
)
def test_a_message_survives_an_outage_of_an_hour(stack: Template) -> None:
    """While KMS or DynamoDB is down, every receive fails, and no message becomes a dead letter within an hour."""
    for name, mapping in mappings_of(stack).items():
        if source := stack.of_type(QUEUE).get(mapping["source"]):
            receives = source["RedrivePolicy"]["maxReceiveCount"]
            assert receives >= 20, name
            assert 3600 <= receives * source["VisibilityTimeout"] < source["MessageRetentionPeriod"], name


@broken_by(
    ("used up their receives", "failed five times"),
    ("# Steps that were received too often", "# Steps that failed 20 times"),
)
def test_no_text_repeats_the_number_of_receives(stack: Template) -> None:
    """The number is in the redrive policies only; alarms, comments, the command and the README do not name it."""
    command = (ROOT / "infra" / "posthorn_cli" / "dead_letter.py").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for text in (stack.text, command, readme):
        assert re.findall(r"(?:failed|after) (?:\d+|five|twenty) (?:times|receives)", text) == []


@broken_by(
    ("VisibilityTimeout: 180", "VisibilityTimeout: 179"),
    ("VisibilityTimeout: 200", "VisibilityTimeout: 182"),
)
def test_a_message_stays_hidden_for_six_times_the_functions_timeout(stack: Template) -> None:
    """AWS recommends six timeouts plus the batch window, so that no message is received during its retry."""
    for name, mapping in mappings_of(stack).items():
        if source := stack.of_type(QUEUE).get(mapping["source"]):
            timeout = stack.functions[mapping["function"]]["Timeout"]
            window = mapping.get("MaximumBatchingWindowInSeconds", 0)
            gathering = max(window, LONG_POLL) if window else 0
            assert source["VisibilityTimeout"] >= 6 * timeout + gathering, name


@broken_by(
    ("            MaximumBatchingWindowInSeconds: 2 # as", "            #"),
    (
        "            BatchSize: 10 # all",
        "            MaximumBatchingWindowInSeconds: 2\n            BatchSize: 10 #",
    ),
)
def test_only_retries_wait_for_a_batch(stack: Template) -> None:
    """Retries gather for a moment to share an invocation; work that a caller waits for does not."""
    windows = {
        mapping["source"]: mapping["MaximumBatchingWindowInSeconds"]
        for mapping in mappings_of(stack).values()
        if "MaximumBatchingWindowInSeconds" in mapping
    }
    assert windows == {"Retry1MinQueue": 2, "Retry5MinQueue": 2, "Retry15MinQueue": 2}


@broken_by(
    ("Timeout: 30 ", "Timeout: 60 "),
    ("VisibilityTimeout: 180", "VisibilityTimeout: 40"),
    ("VisibilityTimeout: 200", "VisibilityTimeout: 45"),
)
def test_a_claim_outlives_its_function_and_expires_before_the_message_returns(stack: Template) -> None:
    """For any deadline, a delivery that may still be in progress cannot be claimed by another invocation."""
    timeout = stack.functions["DeliverFunction"]["Timeout"]
    deadline = stack.parameters["AttemptDeadline"]
    assert deadline["MinValue"] + LEASE_MARGIN_MS / 1000 >= timeout
    for mapping in mappings_of(stack).values():
        source = stack.of_type(QUEUE).get(mapping["source"])
        if source and mapping["function"] == "DeliverFunction":
            assert deadline["MaxValue"] + LEASE_MARGIN_MS / 1000 < source["VisibilityTimeout"]


@broken_by(
    ("VisibilityTimeout: 180", "VisibilityTimeout: 150"),
    ("Timeout: 30 # a page", "Timeout: 119 # a page"),
)
def test_a_step_taken_for_lost_is_lost(stack: Template) -> None:
    """When a step's message comes again, its next message counts as lost; in normal operation none does."""
    (mapping,) = (one for one in mappings_of(stack).values() if one["function"] == "ReplayFunction")
    timeout = stack.functions["ReplayFunction"]["Timeout"]
    visibility = stack.of_type(QUEUE)[mapping["source"]]["VisibilityTimeout"]
    assert PAUSE + timeout < STALLED_MS / 1000 < visibility - timeout


@broken_by(
    ("RecursiveLoop: Allow", "RecursiveLoop: Terminate"),
    ("      RecursiveLoop: Allow\n", ""),
    ("BatchSize: 1 #", "BatchSize: 10 #"),
    ("REPLAY_QUEUE_URL: !Ref ReplayQueue", "REPLAY_QUEUE_URL: !Ref DeliverQueue"),
)
def test_a_job_may_ask_for_its_own_next_step(stack: Template) -> None:
    """The function that sends to its own queue is exempt from Lambda's loop detection, and no other is."""
    allowed = {
        name: function["RecursiveLoop"]
        for name, function in stack.translated_of_type("AWS::Lambda::Function").items()
        if "RecursiveLoop" in function
    }
    assert allowed == {"ReplayFunction": "Allow", "PurgeFunction": "Allow"}
    for function, url in (("ReplayFunction", "REPLAY_QUEUE_URL"), ("PurgeFunction", "PURGE_QUEUE_URL")):
        (mapping,) = (one for one in mappings_of(stack).values() if one["function"] == function)
        assert target(stack.variables(function)[url]) == mapping["source"]
        assert mapping["BatchSize"] == 1


@broken_by(
    ("Timeout: 30 # 20 s", "Timeout: 15 # 20 s"),
    ("Timeout: 30 # 20 s", "Timeout: 119 # 20 s"),
    ("VisibilityTimeout: 180", "VisibilityTimeout: 140"),
    ("Timeout: 120 ", "Timeout: 170 "),
)
def test_a_purge_waits_for_what_was_under_way(stack: Template) -> None:
    """A step has time to work, a lost one is noticed in time, and a round begins when all caches and invocations end."""
    (mapping,) = (one for one in mappings_of(stack).values() if one["function"] == "PurgeFunction")
    timeout = stack.functions["PurgeFunction"]["Timeout"]
    visibility = stack.of_type(QUEUE)[mapping["source"]]["VisibilityTimeout"]
    assert timeout / 2 >= purger.MARGIN_MS / 1000
    assert timeout < purge_start.STALLED_MS / 1000 < visibility - timeout
    cached = max(STALE_MS, REVOCATION_MS) / 1000
    longest = max(function["Timeout"] for function in stack.functions.values())
    assert cached + longest < purger.SETTLE_SECONDS <= MAX_DELAY


@broken_by(
    ("Timeout: 60 ", "Timeout: 45 "),
)
def test_half_of_a_dispatch_at_least_is_for_sending(stack: Template) -> None:
    """With the longest deadline, too, new attempts start in the first half of DispatchFunction's timeout."""
    reserve = stack.parameters["AttemptDeadline"]["MaxValue"] + MARGIN_MS / 1000
    assert reserve <= stack.functions["DispatchFunction"]["Timeout"] / 2


@broken_by(
    ("MaximumConcurrency: 100", "MaximumConcurrency: 400"),
    ("            ScalingConfig: {MaximumConcurrency: 100}", "            #"),
)
def test_no_queue_can_take_all_concurrency(stack: Template) -> None:
    """Every queue is bounded, and together they leave half of an account's default concurrency of 1,000 for everything else."""
    bounds = [
        mapping["ScalingConfig"]["MaximumConcurrency"]
        for mapping in mappings_of(stack).values()
        if mapping["source"] in stack.of_type(QUEUE)
    ]
    assert len(bounds) == 7
    assert sum(bounds) <= 500


@broken_by(
    ("SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false"),
)
def test_queues_are_encrypted(stack: Template) -> None:
    """Every queue is encrypted at rest with SQS's own key."""
    for name, queue in stack.of_type(QUEUE).items():
        assert queue["SqsManagedSseEnabled"] is True, name


@broken_by(
    ("SECOND_RETRY_QUEUE_URL: !Ref Retry5MinQueue", "SECOND_RETRY_QUEUE_URL: !Ref Retry15MinQueue"),
    ("DelaySeconds: !Ref SecondRetryDelay", "DelaySeconds: !Ref FirstRetryDelay"),
    ("      VisibilityTimeout: 180", "      DelaySeconds: 5\n      VisibilityTimeout: 180"),
)
def test_each_retry_waits_in_its_own_queue_for_its_own_delay(stack: Template) -> None:
    """Before attempts 2, 3 and 4, the queue's delay is the parameter that the code gets for it."""
    queues = stack.of_type(QUEUE)
    for function in ("DispatchFunction", "DeliverFunction"):
        settings = DeliverySettings.read(variables_of(stack, function))
        names = [url.removeprefix("physical-") for url in settings.retry_queue_urls]
        assert names == ["Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue"]
        delays = [int(resolve(queues[name]["DelaySeconds"], stack.defaults)) for name in names]
        assert delays == list(settings.retry_delays) == [60, 300, 900]
    waiting = {name for name, queue in queues.items() if "DelaySeconds" in queue}
    assert waiting == {"Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue"}
    assert stack.parameters["ThirdRetryDelay"]["MaxValue"] == MAX_DELAY


@broken_by(
    ("StartingPosition: TRIM_HORIZON", "StartingPosition: LATEST"),
    ("BisectBatchOnFunctionError: true", "BisectBatchOnFunctionError: false"),
    ("MaximumRetryAttempts: -1", "MaximumRetryAttempts: 20"),
    ("MaximumRetryAttempts: -1", "MaximumRetryAttempts: 9999"),
    ("MaximumRecordAgeInSeconds: 21600", "MaximumRecordAgeInSeconds: 604800"),
    ("ParallelizationFactor: !Ref DispatchLanes", "ParallelizationFactor: 1"),
    ("BatchSize: 100", "BatchSize: 1000"),
)
def test_the_outbox_is_read_from_its_beginning_and_never_stuck(stack: Template) -> None:
    """The mapping misses nothing at its creation, bisects a failing batch, and gives up by age alone."""
    mapping = mappings_of(stack)["DispatchFunction.EventsTable.StreamArn"]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == -1  # no limit: any number may be used up during an outage
    assert 3600 <= mapping["MaximumRecordAgeInSeconds"] <= STREAM_RETENTION / 2
    assert mapping["ParallelizationFactor"] == {"Ref": "DispatchLanes"}
    assert mapping["BatchSize"] <= 100  # the limit of one BatchGetItem
    assert "TumblingWindowInSeconds" not in mapping  # would keep state between batches


@broken_by(
    ('["INSERT"]', '["INSERT","REMOVE"]'),
)
def test_only_new_rows_are_events(stack: Template) -> None:
    """The filter passes inserts only: expiry removes rows, and that is no event."""
    mapping = mappings_of(stack)["DispatchFunction.EventsTable.StreamArn"]
    patterns = [json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"]]
    assert patterns == [{"eventName": ["INSERT"]}]


@broken_by(
    ("Schedule: rate(5 minutes)", "Schedule: rate(5 hours)"),
    ("Timeout: 120 ", "Timeout: 600 "),
    ("    Default: 600 #", "    Default: 150 #"),
    ("VisibilityTimeout: 200", "VisibilityTimeout: 210"),
)
def test_the_sweeper_runs_every_five_minutes_and_ends_before_the_next(stack: Template) -> None:
    """One rule starts it, its timeout is less than the interval, and it skips rows a queue may still hide."""
    (rule,) = stack.translated_of_type("AWS::Events::Rule").values()
    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    assert [target(one["Arn"]) for one in rule["Targets"]] == ["SweepFunction.Arn"]
    assert MARGIN_MS <= stack.functions["SweepFunction"]["Timeout"] * 1000 < 5 * 60 * 1000
    hidden = max(queue.get("VisibilityTimeout", 0) for queue in stack.of_type(QUEUE).values())
    assert stack.parameters["SweepGrace"]["Default"] >= 3 * hidden

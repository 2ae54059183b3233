"""The cost model's assumptions match the template."""

import re

from posthorn_cli.app import main
from posthorn_cli.cost import model
from tests.bench.counting import LOG_EVENT_BYTES
from tests.stack.breakages import broken_by
from tests.stack.test_sources import mappings_of
from tests.template import QUEUE, Template

# The longest possible publish request.
REQUEST = {
    "requestId": "BpXZkhBBliAEJ4Q=",
    "identity.sourceIp": "198.51.100.123",
    "httpMethod": "POST",
    "path": "/v1/events",
    "status": "202",
    "responseLatency": "123",
    "integrationErrorMessage": "-",
}


@broken_by(
    ("MemorySize: 512 # CPU follows memory; pydantic", "MemorySize: 1024 # CPU follows memory; pydantic"),
    ("    Default: 256\n", "    Default: 512\n"),
    ("    MaxValue: 3008 #", "    MaxValue: 4096 #"),
)
def test_the_model_reckons_with_the_memory_of_the_template(stack: Template) -> None:
    """The model uses the default memory sizes, and the command accepts what the parameter accepts."""
    memory = stack.parameters["DeliveryMemory"]
    assert stack.functions["ApiFunction"]["MemorySize"] == model.API_MB
    assert memory["Default"] == model.DELIVERY_MB == model.Workload().memory
    least, most = memory["MinValue"], memory["MaxValue"]
    assert [_is_taken(value) for value in (least - 1, least, most, most + 1)] == [False, True, True, False]


@broken_by(
    ("    Default: 4 #", "    Default: 10 #"),
    ("BatchSize: 100 #", "BatchSize: 50 #"),
    ("BatchSize: 10 # as above", "BatchSize: 5 # as above"),
    ("MaximumBatchingWindowInSeconds: 2", "MaximumBatchingWindowInSeconds: 1"),
)
def test_the_model_reckons_with_the_mappings_of_the_template(stack: Template) -> None:
    """Lanes, batches and windows decide how many share an invocation; every mapped queue is polled."""
    mappings = mappings_of(stack)
    outbox = mappings.pop("DispatchFunction.EventsTable.StreamArn")
    assert outbox["ParallelizationFactor"] == {"Ref": "DispatchLanes"}
    assert stack.parameters["DispatchLanes"]["Default"] == model.Workload().lanes
    assert outbox["BatchSize"] == model.BATCH
    retries = [one for one in mappings.values() if "DelaySeconds" in stack.of_type(QUEUE)[one["source"]]]
    assert len(retries) == model.RETRY_QUEUES
    for mapping in retries:
        assert mapping["BatchSize"] == model.RETRY_BATCH
        assert mapping["MaximumBatchingWindowInSeconds"] == model.RETRY_WINDOW_SECONDS
    assert len(mappings) == model.QUEUES


@broken_by(
    ('"ms":"$context.responseLatency"', '"latency":"$context.responseLatency"'),
)
def test_the_model_reckons_with_a_line_of_the_access_log(stack: Template) -> None:
    """The model uses the template's log format with a publish's values, plus CloudWatch's overhead."""
    line = stack.resources["ApiStage"]["Properties"]["AccessLogSettings"]["Format"]
    written = re.sub(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)", lambda found: REQUEST[found[1]], line)
    assert len(written) + LOG_EVENT_BYTES == model.ACCESS_LOG_BYTES


@broken_by(
    ("for about $2 a month", "for about $1 a month"),
)
def test_the_snapshot_parameter_shows_its_price(stack: Template) -> None:
    """The parameter's description has the model's prices: dollars a month, and per thousand starts."""
    month, restore = model.snapstart()
    said = re.findall(r"\$(\d+(?:\.\d+)?)", stack.parameters["ApiSnapStart"]["Description"])
    assert said == [f"{month:.0f}", f"{restore * 1000:.2f}"]


def _is_taken(memory: int) -> bool:
    """Return whether `posthorn cost` accepts that many MB."""
    return main(["cost", "--memory", str(memory)]) == 0

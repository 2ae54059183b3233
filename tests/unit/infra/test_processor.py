"""The processor that `make build` writes into the built template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from infra.processor import UnknownProcessor, fix_processor, processor_of

if TYPE_CHECKING:
    from pathlib import Path

_TEMPLATE: Final = """\
Parameters:
  Stage:
    Type: String
    Default: prod
  Architecture:
    Type: String
    Default: arm64
    AllowedValues:
    - arm64
    - x86_64
    Description: The processor.
  DeliveryMemory:
    Type: Number
    Default: 256
"""
_MACHINES: Final = {"x86_64": 0x3E, "arm64": 0xB7, "s390x": 0x16}


def _build(folder: Path, *processors: str, template: str = _TEMPLATE) -> Path:
    """Make a build with a library for each of the processors."""
    (folder / "template.yaml").write_text(template, "utf-8")
    for number, processor in enumerate(processors):
        header = b"\x7fELF" + bytes(14) + _MACHINES[processor].to_bytes(2, "little")
        (folder / f"library{number}.so").write_bytes(header + bytes(40))
    return folder


@pytest.mark.parametrize("processor", ["x86_64", "arm64"])
def test_a_build_can_only_be_deployed_for_its_processor(tmp_path: Path, processor: str) -> None:
    """It becomes the only value of the parameter and its default; nothing else changes."""
    build = _build(tmp_path, processor, processor)

    assert fix_processor(build) == processor
    assert fix_processor(build) == processor  # a second time, too

    expected = _TEMPLATE.replace("    - arm64\n    - x86_64\n", f"    - {processor}\n")
    expected = expected.replace("Default: arm64", f"Default: {processor}")
    assert (build / "template.yaml").read_text("utf-8") == expected


@pytest.mark.parametrize("processors", [(), ("x86_64", "arm64"), ("s390x",)])
def test_a_build_for_no_single_processor_of_lambda_is_refused(
    tmp_path: Path, processors: tuple[str, ...]
) -> None:
    """Without libraries, with those of two processors or of another, there is no answer."""
    with pytest.raises(UnknownProcessor):
        processor_of(_build(tmp_path, *processors))


@pytest.mark.parametrize(
    "piece", ["  Architecture:\n", "    Default: arm64\n", "    - arm64\n    - x86_64\n"]
)
def test_a_template_of_another_form_is_refused(tmp_path: Path, piece: str) -> None:
    """A template in which the parameter is not found is not silently left as it is."""
    build = _build(tmp_path, "arm64", template=_TEMPLATE.replace(piece, ""))
    with pytest.raises(UnknownProcessor):
        fix_processor(build)

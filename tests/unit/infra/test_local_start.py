"""What the local stack decides before anything runs: parameters, places, ports, credentials, and what it prints."""

import http.server
import json
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from infra.local import __main__ as command
from infra.local import emulator, places, sam
from infra.local.account import ROOT, Account
from infra.local.errors import StartFailed
from infra.local.places import StateDirectory, architecture, require_environments, tail
from infra.local.progress import step


def _written(tmp_path: Path, parameters: dict[str, str]) -> dict[str, str]:
    sam.write_parameters(StateDirectory(tmp_path), parameters)
    written: dict[str, str] = json.loads((tmp_path / "parameters.yaml").read_text())
    return written


def test_the_callers_parameters_win(tmp_path: Path) -> None:
    """A stack is local and may send to private addresses unless the caller says otherwise."""
    assert _written(tmp_path, {})["Stage"] == "local"
    assert _written(tmp_path, {})["AllowPrivateTargets"] == "true"
    assert _written(tmp_path, {"AllowPrivateTargets": "false"})["AllowPrivateTargets"] == "false"


def test_parameters_may_hold_anything(tmp_path: Path) -> None:
    """Spaces, quotes and emptiness reach the template as they are."""
    odd = {"BrandUserAgent": 'Acme "Hooks"/1.0 a=b', "BrandAliasHeader": ""}
    assert _written(tmp_path, odd).items() >= odd.items()


@pytest.mark.parametrize("wrong", ["FirstRetryDelay", "=5", ""])
def test_what_is_no_parameter_is_refused_before_anything_starts(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make local PARAMETERS=FirstRetryDelay` says what is missing, and ends with 2 as a command does."""
    with pytest.raises(SystemExit) as ended:
        command.main(["AttemptDeadline=3", wrong])

    assert ended.value.code == 2
    assert f"{wrong!r} is not Key=Value" in capsys.readouterr().err


@pytest.mark.parametrize(("machine", "expected"), [("x86_64", "x86_64"), ("aarch64", "arm64")])
def test_functions_are_built_for_this_processor(
    monkeypatch: pytest.MonkeyPatch, machine: str, expected: str
) -> None:
    """The processor is given by the name that Lambda has for it."""
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert architecture() == expected


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64")])
def test_other_machines_are_refused(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    """Where Lambda's binaries cannot run, that is said before anything is built."""
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(StartFailed, match="built for Lambda"):
        architecture()


def test_missing_environments_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A start without the Makefile's environments says which are missing and how to make them."""
    for tool in ("EMULATOR_PYTHON", "LAMBDA_PYTHON"):
        monkeypatch.setattr(places, tool, tmp_path)  # there, whether or not this checkout was set up
    monkeypatch.setattr(places, "SAM", tmp_path / "sam")
    with pytest.raises(StartFailed, match=rf"^{tmp_path}/sam: not there; run `make setup`"):
        require_environments()


def test_a_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    """The last lines of a log are shown, even if they are not text, and where to read on."""
    log = tmp_path / "sam-build.log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100)) + b"\xff\n")
    shown = tail(log).splitlines()
    assert shown[0] == "line 81"
    assert shown[-2:] == ["�", f"(the whole log: {log})"]


def test_an_emulator_that_dies_is_tried_on_other_ports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An emulator that ends at once, as on a taken port, is started again elsewhere, and then given up on."""
    tried = tmp_path / "tried"
    dying = tmp_path / "dying"
    dying.write_text(f"#!/bin/sh\necho $GATEWAY_PORT >> {tried}\necho no luck\nexit 1\n")
    dying.chmod(0o700)
    ports = iter([40001, 40002, 40003])
    monkeypatch.setattr(emulator, "EMULATOR_PYTHON", dying)
    monkeypatch.setattr(emulator, "free_port", lambda: next(ports))
    with (
        pytest.raises(StartFailed, match=r"(?s)does not start.*no luck"),
        emulator.running_emulator(StateDirectory(tmp_path)),
    ):
        pass
    assert tried.read_text().split() == ["40001", "40002", "40003"]


def test_the_developers_aws_configuration_stays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles, credentials and proxies of the one who starts the stack play no part in its clients."""
    with _sts() as (url, seen):
        monkeypatch.setenv("AWS_PROFILE", "production")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPRODUCTION")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
        Account(url).client("sts").get_caller_identity()
    assert len(seen) == 1
    assert f"Credential={ROOT}/" in seen[0]


def test_tools_get_nothing_but_the_emulators_account() -> None:
    """The environment for SAM and the AWS CLI names the account and shuts the developer's files out."""
    environment = Account("http://127.0.0.1:1").environment()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["AWS_ACCESS_KEY_ID"] == ROOT
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


def test_an_emulator_on_the_same_port_is_not_taken_for_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another server that answers on the port does not make up for an emulator that could not start."""
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nsleep 0.5\nexit 1\n")
    dying.chmod(0o700)
    with _sts() as (url, seen):
        monkeypatch.setattr(emulator, "EMULATOR_PYTHON", dying)
        monkeypatch.setattr(emulator, "_PORTS_TRIED", 1)
        monkeypatch.setattr(emulator, "free_port", lambda: urlsplit(url).port)
        with pytest.raises(StartFailed), emulator.running_emulator(StateDirectory(tmp_path)):
            pass
    assert not seen


def test_a_step_is_one_line_with_its_time() -> None:
    """What is done is said before it is done, and how long it took afterwards, on the same line."""
    shown: list[str] = []
    with step("deploying", shown.append):
        assert "".join(shown) == "deploying ... "
    assert "".join(shown).removeprefix("deploying ... ").removesuffix(" s\n").replace(".", "").isdigit()


@pytest.mark.parametrize(("error", "word"), [(ValueError(), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_a_step_that_does_not_end_well_says_so(error: BaseException, word: str) -> None:
    """A failed or interrupted step still ends its line."""
    shown: list[str] = []
    with pytest.raises(type(error)), step("deploying", shown.append):
        raise error
    assert f"... {word} after " in "".join(shown)
    assert shown[-1].endswith(" s\n")


@contextmanager
def _sts() -> Generator[tuple[str, list[str]]]:
    """Serve as STS on loopback; the list fills with the Authorization headers that come."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers["Authorization"])
            body = b"<R><GetCallerIdentityResult/><ResponseMetadata/></R>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()

"""What the local stack decides before it starts: parameters, directories, ports, credentials, messages."""

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
    """The stage is local and private targets are allowed unless the caller sets them."""
    assert _written(tmp_path, {})["Stage"] == "local"
    assert _written(tmp_path, {})["AllowPrivateTargets"] == "true"
    assert _written(tmp_path, {"AllowPrivateTargets": "false"})["AllowPrivateTargets"] == "false"


def test_parameters_may_hold_anything(tmp_path: Path) -> None:
    """Spaces, quotes and empty values reach the template unchanged."""
    odd = {"BrandUserAgent": 'Acme "Hooks"/1.0 a=b', "BrandAliasHeader": ""}
    assert _written(tmp_path, odd).items() >= odd.items()


@pytest.mark.parametrize("wrong", ["FirstRetryDelay", "=5", ""])
def test_an_invalid_parameter_is_refused_before_anything_starts(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make local PARAMETERS=FirstRetryDelay` says what is missing and exits with 2."""
    with pytest.raises(SystemExit) as ended:
        command.main(["AttemptDeadline=3", wrong])

    assert ended.value.code == 2
    assert f"{wrong!r} must be Key=Value" in capsys.readouterr().err


@pytest.mark.parametrize(("machine", "expected"), [("x86_64", "x86_64"), ("aarch64", "arm64")])
def test_functions_are_built_for_this_processor(
    monkeypatch: pytest.MonkeyPatch, machine: str, expected: str
) -> None:
    """The architecture is given by Lambda's name for it."""
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert architecture() == expected


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64")])
def test_other_machines_are_refused(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    """A machine that cannot run Lambda's binaries is refused before anything is built."""
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(StartFailed, match="built for Lambda"):
        architecture()


def test_missing_environments_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error lists missing environments and the command that creates them."""
    for tool in ("EMULATOR_PYTHON", "LAMBDA_PYTHON"):
        monkeypatch.setattr(places, tool, tmp_path)  # present, whether or not this checkout was set up
    monkeypatch.setattr(places, "SAM", tmp_path / "sam")
    with pytest.raises(StartFailed, match=rf"^{tmp_path}/sam: not found; run `make setup`"):
        require_environments()


def test_a_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    """The error shows the end of the log, even if it is not text, and the path of the rest."""
    log = tmp_path / "sam-build.log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(100)) + b"\xff\n")
    shown = tail(log).splitlines()
    assert shown[0] == "line 81"
    assert shown[-2:] == ["�", f"(the whole log: {log})"]


def test_an_emulator_that_dies_is_tried_on_other_ports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If the emulator exits at once, as on a taken port, it is restarted on others, then given up."""
    tried = tmp_path / "tried"
    dying = tmp_path / "dying"
    dying.write_text(f"#!/bin/sh\necho $GATEWAY_PORT >> {tried}\necho no luck\nexit 1\n")
    dying.chmod(0o700)
    ports = iter([40001, 40002, 40003])
    monkeypatch.setattr(emulator, "EMULATOR_PYTHON", dying)
    monkeypatch.setattr(emulator, "free_port", lambda: next(ports))
    with (
        pytest.raises(StartFailed, match=r"(?s)did not start.*no luck"),
        emulator.running_emulator(StateDirectory(tmp_path)),
    ):
        pass
    assert tried.read_text().split() == ["40001", "40002", "40003"]


def test_the_developers_aws_configuration_stays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's profiles, credentials and proxies do not affect the stack's clients."""
    with _sts() as (url, seen):
        monkeypatch.setenv("AWS_PROFILE", "production")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPRODUCTION")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
        Account(url).client("sts").get_caller_identity()
    assert len(seen) == 1
    assert f"Credential={ROOT}/" in seen[0]


def test_tools_get_nothing_but_the_emulators_account() -> None:
    """SAM and the AWS CLI get the emulator's account and cannot read the developer's files."""
    environment = Account("http://127.0.0.1:1").environment()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["AWS_ACCESS_KEY_ID"] == ROOT
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


def test_an_emulator_on_the_same_port_is_not_taken_for_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another server on the same port does not hide that the emulator failed to start."""
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
    """A step prints its name when it starts and its duration on the same line when it ends."""
    shown: list[str] = []
    with step("deploying", shown.append):
        assert "".join(shown) == "deploying ... "
    assert "".join(shown).removeprefix("deploying ... ").removesuffix(" s\n").replace(".", "").isdigit()


@pytest.mark.parametrize(("error", "word"), [(ValueError(), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_a_step_that_does_not_end_well_says_so(error: BaseException, word: str) -> None:
    """A failed or interrupted step ends its line, too."""
    shown: list[str] = []
    with pytest.raises(type(error)), step("deploying", shown.append):
        raise error
    assert f"... {word} after " in "".join(shown)
    assert shown[-1].endswith(" s\n")


@contextmanager
def _sts() -> Generator[tuple[str, list[str]]]:
    """Serve STS on loopback and collect the Authorization headers in the list."""
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

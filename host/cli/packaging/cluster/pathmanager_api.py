"""What the cluster agents need of pathmanagerd: its API over the Unix socket. Python's standard library, nothing else."""

import os
import re
import socket
import time

SOCKET = "/run/pathmanager/api.sock"
# A PERSISTENT RESERVE OUT may have to wait for what is under way on the paths.
TIMEOUT_S = 120
# How long a node that is let in again waits for its former commands: less than the agents' start and on may take.
BUSY_S = 40


class Refused(Exception):
    """The daemon refused; `code` is one of its error codes."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Unreachable(Exception):
    """No daemon answers."""


class Daemon:
    def __init__(self, path=SOCKET, timeout_s=TIMEOUT_S):
        self.path = path
        self._timeout_s = timeout_s

    def call(self, method, route, body=None):
        """The decoded answer. Raises Refused or Unreachable."""
        # Loaded only here: a monitor that asks nothing starts every few seconds.
        import http.client
        import json

        connection = http.client.HTTPConnection("localhost", timeout=self._timeout_s)
        try:
            connection.sock = self._connected(self._timeout_s)
            text = None if body is None else json.dumps(body)
            connection.request(method, route, text, {} if text is None else {"content-type": "application/json"})
            answer = connection.getresponse()
            found = json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError) as thrown:
            raise Unreachable("pathmanagerd does not answer at %s: %s" % (self.path, thrown)) from thrown
        finally:
            connection.close()
        if answer.status >= 400:
            error = found.get("error", {}) if isinstance(found, dict) else {}
            raise Refused(error.get("code", "UNKNOWN"), error.get("message", "HTTP status %d" % answer.status))
        return found

    def _connected(self, timeout_s):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(timeout_s)
            made.connect(self.path)
        except OSError:
            made.close()
            raise
        return made

    def listens(self):
        """Whether a daemon is there. It may be too busy to answer."""
        try:
            self._connected(5).close()
            return True
        except OSError:
            return False

    def unit(self, name):
        """The unit meant by a number, a name, an identity, a device or a path. Raises Refused if there is none."""
        for unit in self.call("GET", "/v1/units")["units"]:
            if _is_meant(unit, name):
                return unit
        raise Refused("UNKNOWN_UNIT", "%s: it is no unit, and no path of one; pathctl show lists them" % name)

    def reservation(self, unit):
        return self.call("GET", "/v1/units/%d/reservation" % unit["number"])

    def order(self, unit, action, **more):
        """Carries out an action on the unit's reservation. Raises Refused or Unreachable."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                return self.call("POST", "/v1/units/%d/reservation" % unit["number"], dict(action=action, **more))
            except Refused as refused:
                if refused.code != "BUSY" or time.monotonic() >= until:
                    raise
            time.sleep(1)


def _is_meant(unit, name):
    device = os.path.realpath(name) if name.startswith("/") else name
    if any(attachment["device"] == device for attachment in unit["attachments"]):
        return True
    if name == "/dev/pathmanager/" + unit["name"]:
        return True
    for path in unit["paths"]:
        disk = path.get("blockDevice")
        if name == path["number"] or device == path.get("device") or (disk and device == "/dev/" + disk):
            return True
    return name in (unit["name"], unit["identity"]["text"], str(unit["number"]), "#%d" % unit["number"])


def key_of(text):
    """A reservation key as the daemon writes it; None if it is none."""
    if not re.fullmatch(r"(0[xX])?[0-9a-fA-F]{1,16}", text):
        return None
    key = int(text, 16)
    return None if key == 0 else "0x%x" % key

"""Headless Chromium, driven through a pair of pipes."""

import fcntl
import itertools
import json
import os
import select
import subprocess
import sys
import time

SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-pipe",
)

TRAMPOLINE = (
    "import os, sys; "
    "os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execvp(sys.argv[3], sys.argv[3:])"
)
"""Chromium reads commands from file 3 and writes answers to file 4."""


class Browser:
    """Headless Chromium, driven by its DevTools protocol through a pair of pipes."""

    def __init__(self, executable, folder):
        (theirs_in, self.write), (self.read, theirs_out) = os.pipe(), os.pipe()
        ends = [_moved_up(end) for end in (theirs_in, theirs_out)]
        command = [sys.executable, "-c", TRAMPOLINE, *map(str, ends), executable]
        self.process = subprocess.Popen(
            [*command, *SWITCHES, f"--user-data-dir={folder}"],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in ends:
            os.close(end)
        self.numbers = itertools.count(1)
        self.buffer, self.session, self.events = b"", None, []

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.write)
            os.close(self.read)

    def call(self, method, **parameters):
        """Send a command, and return what it gives."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _receive(self, seconds=60):
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], end - time.monotonic())
            assert ready, "The browser does not answer."
            piece = os.read(self.read, 1 << 16)
            assert piece, "The browser has exited."
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path, *, width=1100, height=800):
        """Open a file in a new tab, and wait until it has loaded."""
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session, self.events = attached["sessionId"], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self.evaluate(
            "document.readyState === 'complete' && !!globalThis.explorer"
        ):
            time.sleep(0.02)
            assert not self.errors(), self.errors()

    def resize(self, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def evaluate(self, expression):
        """Return the value of an expression in the page, its promise awaited."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key, code=0):
        """Press and release a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
            )

    def errors(self):
        """Return the console messages and uncaught errors of the page."""
        bad = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in bad]

    def requests(self):
        """Return the addresses that the page requested."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


def _moved_up(end):
    """Move a file descriptor above those that the browser uses."""
    high = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(end)
    return high

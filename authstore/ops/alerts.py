"""When somebody is called: after a change of state that lasts, and whom it is told."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

from pydantic import JsonValue

from authstore.store import rows

State = Literal["ok", "warning", "failing"]

STATES: Final[tuple[State, ...]] = ("ok", "warning", "failing")  # from good to bad
_BAD_LOOKS: Final = 2
_GOOD_LOOKS: Final = 3

_log = logging.getLogger("authstore.monitor")


@dataclass(frozen=True, slots=True)
class Alert:
    """A check has another state than before. `since`: the first of the looks that say so."""

    check: str
    state: State
    since: datetime
    detail: str


OnAlert = Callable[[Alert], Awaitable[object] | object]


def log_alert(alert: Alert) -> None:
    """Tells the logger `authstore.monitor`: of what fails as an error, of what is well again as information."""
    level = {"ok": logging.INFO, "warning": logging.WARNING, "failing": logging.ERROR}[alert.state]
    _log.log(level, "%s is %s since %s: %s", alert.check, alert.state, alert.since.isoformat(), alert.detail)


class Look(NamedTuple):
    """What a check found at one moment."""

    state: State
    at: datetime
    detail: str


class CheckState:
    """The state of one check. Two bad looks make it worse, three good ones better: one alone is no news."""

    def __init__(self, state: State = "ok") -> None:
        self.state: State = state
        self._looks: list[Look] = []

    def note(self, check: str, look: Look) -> Alert | None:
        """One more look; the alert, where the state is another now."""
        self._looks = [*self._looks, look][-_GOOD_LOOKS:]
        worse = self._looks[-_BAD_LOOKS:]
        if len(worse) == _BAD_LOOKS and (least := _by_badness(min, worse)) > STATES.index(self.state):
            return self._become(check, STATES[least], worse)
        if len(self._looks) == _GOOD_LOOKS and (most := _by_badness(max, self._looks)) < STATES.index(self.state):
            return self._become(check, STATES[most], self._looks)
        return None

    @property
    def found(self) -> State:
        """What the last look found, be it news or not."""
        return self._looks[-1].state if self._looks else self.state

    def _become(self, check: str, state: State, looks: list[Look]) -> Alert:
        self.state = state
        return Alert(check, state, looks[0].at, looks[-1].detail)

    def kept(self) -> dict[str, JsonValue]:
        """What the next process to look goes on from."""
        looks: list[JsonValue] = [[look.state, rows.instant_text(look.at), look.detail] for look in self._looks]
        return {"state": self.state, "looks": looks}

    @classmethod
    def of(cls, kept: object) -> "CheckState":
        """What an earlier look kept; what cannot be read counts as nothing."""
        found = cls()
        match kept:
            case {"state": "ok" | "warning" | "failing" as state, "looks": list(looks)}:
                found.state = state
                found._looks = [look for each in looks if (look := _look(each)) is not None]
        return found


def _look(kept: object) -> Look | None:
    match kept:
        case ["ok" | "warning" | "failing" as state, str(at), str(detail)]:
            try:
                return Look(state, datetime.fromisoformat(at), detail)
            except ValueError:
                return None
    return None


def _by_badness(choose: Callable[[list[int]], int], looks: list[Look]) -> int:
    return choose([STATES.index(look.state) for look in looks])


def states_of(kept: object) -> dict[str, CheckState]:
    """The states of all checks, as an earlier look kept them."""
    found = kept if isinstance(kept, Mapping) else {}
    return {str(check): CheckState.of(state) for check, state in found.items()}

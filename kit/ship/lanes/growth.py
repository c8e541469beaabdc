"""How many lanes there should be while a shipment runs: looked at now and then, by the caller's clock."""

from __future__ import annotations

from kit.ship.lanes.count import MEASURE, SETTLE, LaneRate, fell, first_lanes, is_narrow, lanes_wanted


class Growth:
    """Measures what lanes carry, and decides when to have more or fewer of them."""

    def __init__(self, cores: int, left: int, round_trip: float) -> None:
        """`cores` are those of the weaker side, `left` the bytes to send, `round_trip` in seconds."""
        self._cores = cores
        self._round_trip = round_trip
        self._rates: tuple[LaneRate, ...] = ()
        self._full = False
        self._since: float | None = None
        self._from: tuple[float, int] | None = None
        self.target = first_lanes(left, round_trip)
        """Lanes to have."""

    def look(self, now: float, lanes: int, sent: int, left: int) -> None:
        """Take notice: seconds on any clock, lanes that carry, bytes that left, bytes that nobody took."""
        if self._full:
            return
        if lanes != self.target or self._since is None:
            # Not as many as wanted, or only now: what they carry says nothing yet.
            self._since, self._from = (now, None) if lanes == self.target else (None, None)
        elif self._from is None:
            if now - self._since >= SETTLE:
                self._from = now, sent
        elif now - self._from[0] >= MEASURE:
            rate = (sent - self._from[1]) / (now - self._from[0])
            self._decide(LaneRate(lanes, rate), left)
            self._from = now, sent

    def stop(self, lanes: int) -> None:
        """Stay at so many lanes: the host takes no more."""
        self.target = max(lanes, 1)
        self._full = True

    def _decide(self, found: LaneRate, left: int) -> None:
        before = self._rates[-1] if self._rates else None
        if before is not None and before.lanes == found.lanes:
            if not fell(before, found):
                return
            # A line shows its losses late: what was held against it then was its best time.
            self._rates = ()
        self._rates = (*self._rates, found)
        self.target = lanes_wanted(self._rates, self._cores, left, self._round_trip)
        if self.target < found.lanes or (len(self._rates) == 1 and is_narrow(found, self._round_trip)):
            # Gone back to what was good enough; or it may only have stood still, and is judged anew.
            self._rates = self._rates[:-1]

"""Reports what the station does to the MQTT broker that the configuration names."""

from edged import __version__
from edged.clock import rfc3339
from edged.config import BrokerCredentials, SupervisionPart, read_toml
from edged.evidence.ids import StationId
from edged.station.parts import Parts
from edged.supervision.port import AlarmReport, BayReport, StateReport
from edged.supervision.settings import BrokerSettings
from edged.supervision.supervisor import Supervisor


class LiveView:
    """The live state as it is told outside: without the sentences, which may repeat what people wrote."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._since = rfc3339(parts.clock.now())

    def state(self) -> StateReport:
        """Give the station as a whole."""
        live = self._parts.live
        return StateReport(
            version=__version__,
            origin=self._parts.book.ledger.epoch.origin,
            since=self._since,
            accepting=self._parts.room.accepting(),
            bays=tuple(bay.bay for bay in live.bays()),
            alarms=tuple(
                AlarmReport(source=alarm.source, since=alarm.since)
                for alarm in live.alarms()
                # Whoever reads this knows that the broker can be reached.
                if alarm.source != Supervisor.name
            ),
        )

    def bays(self) -> list[BayReport]:
        """Give the bays with a recorder in them."""
        return [
            BayReport(
                bay=bay.bay,
                phase=bay.phase,
                removable=bay.removable,
                lamp=bay.lamp,
                recorder=bay.recorder,
                officer=bay.officer,
                docking=bay.docking,
                files=bay.files,
                files_done=bay.files_done,
                bytes=bay.bytes,
                bytes_done=bay.bytes_done,
                bytes_per_second=bay.bytes_per_second,
                seconds_left=bay.seconds_left,
                reread=bay.reread,
                replicated=bay.replicated,
                wiped=bay.wiped,
            )
            for bay in self._parts.live.bays()
        ]


def build_supervisor(parts: Parts) -> Supervisor | None:
    """Give what reports to the broker, None where none is configured; raises ConfigError."""
    part = parts.config.supervision
    if part is None:
        return None
    return Supervisor(
        broker_settings(part),
        station=StationId(parts.config.station.id),
        view=LiveView(parts),
        outbox=parts.book.outbox,
        clock=parts.clock,
        wake=parts.pulse.subscribe(),
    )


def broker_settings(part: SupervisionPart) -> BrokerSettings:
    """Read what is needed to get in; nothing is asked of the broker yet. Raises ConfigError."""
    credentials = None if part.credentials is None else read_toml(part.credentials, BrokerCredentials)
    return BrokerSettings(
        id=part.id,
        host=part.host,
        port=part.port,
        user=None if credentials is None else credentials.user,
        password=None if credentials is None else credentials.password,
        tls=part.tls,
        ca_file=part.ca_file,
        certificate=part.certificate,
        key=part.key,
    )

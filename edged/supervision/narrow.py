"""A paho client that takes from a broker what a station expects of one, and nothing else.

Guarantees, whatever the broker sends: no packet longer than `LARGEST_BYTES` is taken in, none is kept that would wait
for another one, and none is answered; so nothing grows, neither here nor in what waits to be sent. paho by itself
takes packets of up to 256 MiB, keeps every message of QoS 2, and queues an answer to each request of the broker.
"""

from typing import Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

LARGEST_BYTES: Final = 65_536
"""Of what a broker may send: the station expects nothing but confirmations, and its own small messages."""

_CONNACK: Final = 0x20
_PUBLISH: Final = 0x30
_EXPECTED: Final = frozenset({_CONNACK, _PUBLISH, 0x40, 0x90, 0xD0, 0xE0})
"""CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT (MQTT 5, section 2.1.2)."""

_QOS: Final = 0x06


class NarrowClient(Client):
    """A client of one connection, which publishes, and subscribes at QoS 0."""

    def __init__(self, client_id: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self.strange = ""
        """What the broker sent that it should not have; the connection ends with it."""
        self._was_taken = False

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho asks for all that is left of a packet at once.
        if bufsize > LARGEST_BYTES:
            self.strange = f"a packet of {bufsize} bytes"
            raise ConnectionAbortedError(self.strange)
        return super()._sock_recv(bufsize)

    def _packet_handle(self) -> MQTTErrorCode:
        first = int(self._in_packet["command"])
        kind = first & 0xF0
        if kind not in _EXPECTED:
            self.strange = f"a packet of type {kind >> 4}"
        elif kind == _PUBLISH and first & _QOS:
            self.strange = "a message that it wants confirmed"
        elif kind == _CONNACK and self._was_taken:
            self.strange = "a second answer to the same connection"
        if self.strange:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._was_taken = self._was_taken or kind == _CONNACK
        return super()._packet_handle()

"""One connection to the broker, from the attempt to its end, on a thread of its own.

Guarantees: nothing is sent again behind the caller's back, as paho is not let reconnect and one connection is
thrown away whole; at most one message waits for its confirmation; nothing that a broker sends grows anything
without bound (`NarrowClient`); whatever ends the connection is kept in plain words and wakes the caller.
"""

import contextlib
import logging
import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from typing import Final

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edged.supervision.narrow import LARGEST_BYTES, NarrowClient
from edged.supervision.settings import BrokerSettings, cause_of, tls_context

_log = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 10.0
_KEEPALIVE_SECONDS: Final = 30
_LOOP_SECONDS: Final = 5.0
"""How long the thread sleeps when nothing comes and nothing is to be sent: it only has to be in time for the ping."""

_MOST_HEARD: Final = 256

_SENTENCES: Final[dict[int, tuple[str, str]]] = {
    0x84: ("speaks no MQTT 5", "Mosquitto 1.6 and all later ones do; use such a broker."),
    0x85: ("does not accept the name of this station", "The id of the client is edged-STATION; allow it."),
    0x86: ("does not accept the user name or the password", "Correct the credentials file."),
    0x87: (
        "does not authorise this station",
        "Check user name, password and certificate, and that the access list has `readwrite` for edged/STATION/#.",
    ),
    0x89: ("is busy", "It is tried again."),
    0x8B: ("is shutting down", "It is tried again."),
    0x8E: (
        "gave the place of this station to another one that uses its name",
        "Two stations have the same id. Is one of them a copy of the other?",
    ),
    0x95: ("takes no messages as large as entries of the ledger can be", "Let it take 70 000 bytes."),
    0x97: ("says that a quota is used up", "Raise the quota of this station's user."),
}
"""What answers of a broker mean, by reason code (MQTT 5, section 2.4): the end of the sentence, and a hint."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a connection ended or was not made."""

    text: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Presence:
    """How a station appears at the broker."""

    client_id: str
    will: tuple[str, bytes]
    """Topic and message that the broker keeps there when the station is lost."""
    watch: str
    """Topics to be told of when others write to them, or when the broker kept something there."""


class Connection(threading.Thread):
    """One attempt; `up` from when the broker took it, `over` when it is no more."""

    def __init__(self, settings: BrokerSettings, presence: Presence, wake: threading.Event) -> None:
        """Nothing is sent yet. `wake` is set whenever anything here changes.

        Raises ConfigError when a certificate cannot be used.
        """
        super().__init__(name="mqtt", daemon=True)
        self.up = False
        self.over = False
        self.is_cut = False
        self.trouble = Trouble(
            text=f"{settings.name} ended the connection.",
            hint="See the log of the broker. If it asks for certificates, it may not take that of this station.",
        )
        self._settings = settings
        self._watch = presence.watch
        self._wake = wake
        self._answers: dict[int, ReasonCode] = {}
        self._heard: set[str] = set()
        self._lock = threading.Lock()
        self._client = self._make_client(presence)

    def run(self) -> None:
        """Connect, and carry messages until the end."""
        client, settings = self._client, self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = LARGEST_BYTES
        try:
            client.connect(settings.host, settings.port, _KEEPALIVE_SECONDS, clean_start=True, properties=properties)
            while client.loop(_LOOP_SECONDS) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                pass
        except ssl.SSLError as error:
            self._failed(
                f"{settings.name} and this station do not trust each other: {cause_of(error)}.",
                "Check `ca_file`, the certificate of the station, and that the broker's certificate names its host.",
            )
        except OSError as error:
            self._failed(
                f"{settings.name} cannot be reached: {cause_of(error)}.", "Check the network, and that the broker runs."
            )
        except (MQTTException, ValueError, LookupError, struct.error) as error:
            self._failed(f"{settings.name} speaks no MQTT that can be understood: {error}.", "Check `host` and `port`.")
        finally:
            if client.strange:
                self._failed(
                    f"{settings.name} sent {client.strange}, which no broker sends to a station; it was not taken in.",
                    "Is it the right host? If so, see the log of the broker, and who else can send in its name.",
                )
            with contextlib.suppress(OSError):
                if (end := client.socket()) is not None:
                    end.close()
            client.on_connect = client.on_disconnect = client.on_publish = None
            client.on_message = client.on_subscribe = None
            self.up = False
            self.over = True
            self._wake.set()

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Hand over a message at QoS 1, and give the number by which `answer` knows it."""
        self._answers.clear()
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def answer(self, number: int) -> ReasonCode | None:
        """Give the broker's confirmation of a message, None while there is none."""
        return self._answers.get(number)

    def heard(self) -> set[str]:
        """Give the watched topics that others wrote to, or that the broker had kept, since the last call."""
        with self._lock:
            heard, self._heard = self._heard, set()
        return heard

    def refusal(self, doing: str, code: ReasonCode) -> Trouble:
        """Say what a failing reason code means."""
        sentence, hint = _SENTENCES.get(code.value, (f"answers: {code}", "See the log of the broker."))
        return Trouble(text=f"{self._settings.name} {sentence}, in trying to {doing}.", hint=hint)

    def end(self) -> None:
        """Take leave of the broker in order, so that it does not tell the will."""
        self._client.disconnect()

    def cut(self) -> None:
        """Break the connection off; the broker tells the will. An attempt that hangs ends by its own time-out."""
        self.is_cut, self.up = True, False
        end = self._client.socket()
        if end is not None:
            with contextlib.suppress(OSError):
                # Not that of an SSLSocket, which would pull the rug from under the thread that is reading.
                socket.socket.shutdown(end, socket.SHUT_RDWR)  # type: ignore[arg-type]

    def _make_client(self, presence: Presence) -> NarrowClient:
        settings = self._settings
        client = NarrowClient(presence.client_id)
        client.connect_timeout = _CONNECT_SECONDS
        client.max_inflight_messages = 1
        client.max_queued_messages = 4
        client.will_set(*presence.will, qos=1, retain=True)
        if settings.user is not None:
            client.username_pw_set(settings.user, settings.password)
        if settings.tls:
            client.tls_set_context(tls_context(settings))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        # With it, publishing leaves all writing to the thread of this connection.
        client.on_socket_register_write = lambda *_: None
        return client

    def _failed(self, text: str, hint: str) -> None:
        self.trouble = Trouble(text=text, hint=hint)

    def _on_connect(
        self,
        client: Client,
        _: object,
        __: ConnectFlags,
        code: ReasonCode,
        ___: Properties | None,
    ) -> None:
        if code.is_failure:
            self.trouble = self.refusal("connect", code)
            return
        client.subscribe(self._watch, options=SubscribeOptions(qos=0, noLocal=True))
        self.up = True
        self._wake.set()

    def _on_disconnect(
        self,
        _: Client,
        __: object,
        flags: DisconnectFlags,
        code: ReasonCode,
        ___: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server and code.is_failure:
            self.trouble = self.refusal("stay connected", code)
        elif self.up:
            self._failed(
                f"{self._settings.name} broke off, or the network to it did.",
                "It is tried again. If it goes on like this, another station has the same id, or is a copy.",
            )

    def _on_publish(self, _: Client, __: object, number: int, code: ReasonCode, ___: Properties) -> None:
        self._answers[number] = code
        self._wake.set()

    def _on_subscribe(self, _: Client, __: object, ___: int, codes: list[ReasonCode], ____: Properties) -> None:
        if any(code.is_failure for code in codes):
            # Telling goes on: what is retained of bays is right for every bay that `state` names.
            _log.warning(
                "%s does not let this station read %s: what an earlier run left there stays.",
                self._settings.name,
                self._watch,
            )

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        with self._lock:
            if len(self._heard) < _MOST_HEARD:
                self._heard.add(message.topic)

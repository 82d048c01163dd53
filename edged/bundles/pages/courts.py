"""What each check asks and how, in plain words, and which provision on electronic evidence it speaks to.

The provisions are summed up for orientation; their own texts decide, and whether they are met is for the court. Each
is tied to checks by name, so that the page can say beside it what was found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edged.evidence.verdict import Verdict
from edged.evidence.verification.words import Words


@dataclass(frozen=True, kw_only=True)
class Method:
    """One check in plain words."""

    question: Words
    how: Words


METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "bag": Method(
            question=Words("Are exactly the listed files here, and nothing else?", "文件是否恰为清单所列，不多不少？"),
            how=Words(
                "SHA-256 of every file against the lists (BagIt, RFC 8493).",
                "逐个文件计算 SHA-256 并与清单比对（BagIt，RFC 8493）。",
            ),
        ),
        "selection": Method(
            question=Words("Is this all that the station handed over?", "采集站交付的内容是否全部在此？"),
            how=Words(
                "The list that the station signed into its log before the export, against what is here, both ways.",
                "将采集站导出前签入日志的清单与现有内容双向比对。",
            ),
        ),
        "consistency": Method(
            question=Words("Do all entries speak of one history?", "全部条目是否出自同一历史？"),
            how=Words(
                "Proofs between the log's signed states (Merkle tree, RFC 6962).",
                "核验日志各签名状态之间的一致性证明（Merkle 树，RFC 6962）。",
            ),
        ),
        "custody": Method(
            question=Words("Is the record of who did what genuine?", "经手记录是否真实？"),
            how=Words(
                "Each entry: form, place in the log, signature, signer.", "逐条核验形式、日志位置、签名和签名者。"
            ),
        ),
        "derivatives": Method(
            question=Words(
                "Are the copies for viewing those that were made from these originals?",
                "观看用衍生件是否由这些原件生成？",
            ),
            how=Words("SHA-256 of copy and original against the entry.", "以 SHA-256 将衍生件及原件与条目比对。"),
        ),
        "chain": Method(
            question=Words(
                "Do the recorder's files follow each other without a break?", "同一记录仪的文件编号是否前后相接？"
            ),
            how=Words("Running numbers and references between entries.", "核对条目之间的顺序号与引用。"),
        ),
        "completeness": Method(
            question=Words("Is every file that the card held accounted for?", "存储卡上的每个文件是否都有交代？"),
            how=Words(
                "The list of the card, taken before copying, against sealed, sighted and erased files.",
                "将复制前列出的存储卡清单与固证、再见和清除的文件比对。",
            ),
        ),
        "bytes": Method(
            question=Words("Is the file what was sealed, byte for byte?", "文件是否与固证时逐字节一致？"),
            how=Words("Length, SHA-256 of the whole and of every 8 MiB.", "核对长度、整体及每 8 MiB 的 SHA-256。"),
        ),
        "entry": Method(
            question=Words(
                "Is its entry well-formed, and about this very file?", "其条目形式是否正确、所述是否为该文件？"
            ),
            how=Words(
                "Canonical form (RFC 8785), schema, id from recorder and content.",
                "核对规范形式（RFC 8785）、结构，以及由记录仪和内容得出的编号。",
            ),
        ),
        "inclusion": Method(
            question=Words("Is the entry in the log that was signed?", "条目是否在已签名的日志之中？"),
            how=Words(
                "Hashes from the entry up to the signed root (RFC 6962).",
                "自条目逐级计算哈希直至已签名的根（RFC 6962）。",
            ),
        ),
        "signature": Method(
            question=Words("Is the log signed by the key it names?", "日志是否由其所称密钥签名？"),
            how=Words("Ed25519 over the checkpoint.", "对检查点核验 Ed25519 签名。"),
        ),
        "identity": Method(
            question=Words("Whose key is it?", "密钥属于谁？"),
            how=Words(
                "X.509 certificate up to a root that the verifier brought, at the time of signing.",
                "按签名时刻核验 X.509 证书直至核验者自备的根证书。",
            ),
        ),
        "time": Method(
            question=Words("Who outside the station confirms when?", "站外由谁证实时间？"),
            how=Words(
                "Time stamps (RFC 3161) or cosignatures of witnesses whom the verifier brought.",
                "核验者自备其信任的时间戳机构（RFC 3161）或见证方联署。",
            ),
        ),
    }
)
"""Every check of EVIDENCE.md, section 7."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A question of a reader who is no expert, and the checks that answer it together."""

    title: Words
    checks: tuple[str, ...]
    said: Mapping[Verdict, Words]


TOPICS: Final = (
    Topic(
        title=Words("Content", "内容"),
        checks=("bytes", "entry", "derivatives"),
        said={
            "verified": Words(
                "Each original is, byte for byte, the file that the station read from the recorder and sealed.",
                "每个原件均与采集站从记录仪读取并固证的文件逐字节一致。",
            ),
            "failed": Words(
                "A file differs from what was sealed; below it says where.", "有文件与固证时不同，位置见下。"
            ),
            "not-established": Words("Not for every file could this be shown.", "并非每个文件都能证明。"),
        },
    ),
    Topic(
        title=Words("Wholeness", "完整"),
        checks=("bag", "selection"),
        said={
            "verified": Words(
                "Nothing was left out, added or exchanged since the station handed it over.",
                "自采集站交付以来没有遗漏、添加或替换。",
            ),
            "failed": Words(
                "Something was left out, added or changed after the hand-over.", "交付之后有内容被遗漏、添加或改动。"
            ),
            "not-established": Words(
                "Whether all that was handed over is here could not be shown.", "无法证明交付内容是否全部在此。"
            ),
        },
    ),
    Topic(
        title=Words("Record", "记录"),
        checks=("inclusion", "consistency", "custody"),
        said={
            "verified": Words(
                "The record of what was done with the files is part of one signed log that only grows; nothing in it "
                "was changed.",
                "对文件所做操作的记录属于同一份只增不改、经签名的日志，未被改动。",
            ),
            "failed": Words("The record contradicts the signed log.", "经手记录与已签名的日志矛盾。"),
            "not-established": Words(
                "Not every part of the record could be shown to be genuine.", "经手记录并非每一项都能证明。"
            ),
        },
    ),
    Topic(
        title=Words("Origin", "来源"),
        checks=("signature", "identity"),
        said={
            "verified": Words(
                "The station that is named here signed, under a root that is named in section 6.",
                "由此处所称采集站签名，所依根证书见第六节。",
            ),
            "failed": Words("The signature is not that station's.", "签名不属于该采集站。"),
            "not-established": Words("Whose signature it is could not be shown.", "无法证明签名属于谁。"),
        },
    ),
    Topic(
        title=Words("Time", "时间"),
        checks=("time",),
        said={
            "verified": Words(
                "Somebody outside the station confirms by when the files existed as they are.",
                "有站外第三方证实这些文件最迟于何时已以现状存在。",
            ),
            "failed": Words(
                "A confirmation of the time is invalid or contradicts the record.", "时间证明无效或与记录矛盾。"
            ),
            "not-established": Words(
                "Times are those of the clocks of station and recorder: claims that nobody else confirms here.",
                "时间出自采集站和记录仪自身时钟：仅为声明，此处无他人证实。",
            ),
        },
    ),
)
"""The short answer, topic by topic."""


@dataclass(frozen=True, kw_only=True)
class Provision:
    """Something that a court looks at."""

    source: Words
    asks: Words
    checks: tuple[str, ...]
    here: Words
    """What of this page answers it, and what does not."""


_CRIMINAL: Final = "最高人民法院关于适用《刑事诉讼法》的解释"
_CIVIL: Final = "最高人民法院关于民事诉讼证据的若干规定"
_ONLINE: Final = "人民法院在线诉讼规则"

PROVISIONS: Final = (
    Provision(
        source=Words(
            "Interpretation of the Criminal Procedure Law (PRC), art. 111 (1)–(2)",
            f"{_CRIMINAL}第 111 条第（一）（二）项",
        ),
        asks=Words(
            "The original medium, its seizure and seal; how the data were collected and extracted.",
            "原始存储介质的扣押、封存状态；电子数据的收集、提取过程。",
        ),
        checks=("custody", "completeness"),
        here=Words(
            "The custody history says when the card was read, by which station, and that it was listed first. The card "
            "itself is not part of the bundle.",
            "经手记录载明何时、由哪个采集站读取存储卡，且先行列出清单。存储卡本身不在证据包内。",
        ),
    ),
    Provision(
        source=Words("art. 111 (3)", "同条第（三）项"),
        asks=Words("Comparing integrity digests.", "比对电子数据完整性校验值。"),
        checks=("bytes", "bag"),
        here=Words(
            "SHA-256 of each original, sealed when it was read; anybody can repeat it.",
            "每个原件读取时固证的 SHA-256，任何人均可复算。",
        ),
    ),
    Provision(
        source=Words("art. 111 (4)", "同条第（四）项"),
        asks=Words("Comparing with backed-up data.", "与备份的电子数据进行比较。"),
        checks=(),
        here=Words(
            "The custody history names each copy, its store, and how it was verified. The copies were not fetched for "
            "this report.",
            "经手记录列明每份副本、存储位置及核验方式。本报告未调取副本。",
        ),
    ),
    Provision(
        source=Words("art. 111 (5)", "同条第（五）项"),
        asks=Words("The log of access and operations after freezing.", "审查冻结后的访问操作日志。"),
        checks=("custody", "inclusion", "consistency"),
        here=Words(
            "Every act of the software and of its users on the sealed file is an entry. Reading by the operating "
            "system's administrators is not.",
            "软件及其用户对已固证文件的每项操作均为条目；操作系统管理员的读取不在其中。",
        ),
    ),
    Provision(
        source=Words(
            "Provisions on Evidence in Civil Procedure (PRC), art. 93 (1)–(3)", f"{_CIVIL}第 93 条第（一）至（三）项"
        ),
        asks=Words(
            "Whether hardware and software were whole, reliable and running normally, with means to notice errors.",
            "软硬件环境是否完整、可靠、正常运行，是否具备有效的防错监测、核查手段。",
        ),
        checks=("custody",),
        here=Words(
            "Each copy was read back from the disk and compared; state of the clock and anomalies are noted in signed "
            "entries and listed under findings. The health of the computer is not shown beyond that.",
            "每份副本均从磁盘复读比对；时钟状态和异常记入已签名条目并列于“发现”。除此之外不证明计算机状况。",
        ),
    ),
    Provision(
        source=Words("art. 93 (4)", "同条第（四）项"),
        asks=Words(
            "Whether preservation, transmission and extraction were complete and reliable.",
            "保存、传输、提取是否完整，方法是否可靠。",
        ),
        checks=("bytes", "selection", "chain", "completeness"),
        here=Words(
            "Digests, running numbers, and the list of the card. The method is published; VERIFY.md repeats it with "
            "stock tools.",
            "摘要、顺序号及存储卡清单。方法公开；VERIFY.zh.md 以通用工具复现。",
        ),
    ),
    Provision(
        source=Words("art. 93 (5)–(6), art. 94", "同条第（五）（六）项、第 94 条"),
        asks=Words(
            "Formed and kept in the ordinary course of business, archived, by a proper person, or confirmed by a "
            "neutral third party.",
            "是否在正常活动中形成和存储、以档案方式保管，主体是否适当，是否由中立第三方确认。",
        ),
        checks=("identity", "time"),
        here=Words(
            "The station's certificate says who sealed; time-stamping authorities and witnesses are third parties, for "
            "the time only.",
            "采集站证书表明由谁固证；时间戳机构和见证方为第三方，仅就时间而言。",
        ),
    ),
    Provision(
        source=Words("Online Litigation Rules of the People's Courts (PRC), art. 16–17", f"{_ONLINE}第 16、17 条"),
        asks=Words(
            "Data stored by blockchain technology whose technical verification agrees; the storage's independence and "
            "security.",
            "区块链技术存储、经技术核验一致的电子数据；存证平台的中立性与安全性。",
        ),
        checks=("inclusion", "consistency", "signature", "time"),
        here=Words(
            "The log is a chain of hashes signed by the station and confirmed from outside as said under time. It is "
            "no public blockchain; whether the rule applies is for the court.",
            "本日志为采集站签名的哈希链，站外证实情况见“时间”。它不是公共区块链，规则是否适用由法院判断。",
        ),
    ),
    Provision(
        source=Words("art. 18", "同规则第 18 条"),
        asks=Words("Whether the data were already untrue before they were stored.", "上链存储前数据是否已不真实。"),
        checks=(),
        here=Words(
            "Not shown: what happened before the file was read from the card. The recorder's identity, its clock and "
            "the list of its card were noted before anything was copied.",
            "文件从存储卡读出之前的情况无从证明。记录仪身份、时钟及存储卡清单在复制之前已记录。",
        ),
    ),
    Provision(
        source=Words("art. 19", "同规则第 19 条"),
        asks=Words(
            "Opinions of experts, appraisal, comparison with other evidence.", "专家意见、鉴定及调取其他证据核对。"
        ),
        checks=(),
        here=Words(
            "Everything that an expert needs is in the bundle; no software of the station is needed.",
            "专家所需资料均在证据包内，无需采集站的软件。",
        ),
    ),
    Provision(
        source=Words("US Federal Rules of Evidence 902(13)", "美国《联邦证据规则》902(13)"),
        asks=Words(
            "A record made by an electronic process that gives an accurate result, certified by a qualified person.",
            "由能产生准确结果的电子流程生成、经合格人员证明的记录。",
        ),
        checks=("inclusion", "signature", "custody"),
        here=Words(
            "This page states the process and its checks; it is not that certification.",
            "本页说明流程与核验结果，但不是该证明书。",
        ),
    ),
    Provision(
        source=Words("US Federal Rules of Evidence 902(14)", "美国《联邦证据规则》902(14)"),
        asks=Words(
            "Data copied from a device, authenticated by digital identification (such as a hash), certified likewise.",
            "从设备复制、以数字标识（如哈希值）鉴别并同样经证明的数据。",
        ),
        checks=("bytes",),
        here=Words("The SHA-256 of each original is in section 2.", "每个原件的 SHA-256 见第二节。"),
    ),
)
"""What courts look at (MISSION.md, facts)."""

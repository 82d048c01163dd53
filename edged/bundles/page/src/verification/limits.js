/** What stays unproven whatever the verdict, in whole sentences (EVIDENCE.md, section 7). */

import { Words } from "./words.js";

/** Say what no check here shows. */
export function notProven(trust, segments) {
  return [
    new Words(
      "What happened before a file was read from the card is not shown: neither what the recorder recorded or left out, nor whether the card was changed before it was docked.",
      "文件从存储卡读出之前发生的事情无从证明：既不证明记录仪录了什么、漏了什么，也不证明接入前存储卡未被改动。",
    ),
    new Words("Nothing that the station wrote after the export is shown.", "导出之后采集站写下的内容不在此列。"),
    trust.crls.length > 0
      ? new Words(
          `Revocation was checked only against the ${trust.crls.length} list(s) given.`,
          `证书吊销情况仅按所提供的 ${trust.crls.length} 份吊销列表核查。`,
        )
      : new Words(
          "Whether a certificate was revoked was not checked: no revocation list was given.",
          "未核查证书是否被吊销：没有提供吊销列表。",
        ),
    new Words(
      "Erasing a file from flash memory removes its name; it does not show that every trace is gone.",
      "从闪存中清除文件只是去掉其名称，不能证明所有痕迹均已消失。",
    ),
    ofRoots(segments),
  ];
}

function ofRoots(segments) {
  const subjects = new Map();
  for (const { root } of segments) if (root?.subject.includes("O=self-made by ")) subjects.set(root.sha256, root.subject);
  const own = [...subjects.values()].sort().join(", ");
  if (own) {
    return new Words(
      `The root ${own} was made by the station itself and binds to no authority: it shows that one and the same key holder signed, not who that is.`,
      `根证书 ${own} 由采集站自制，不归属任何机构：它只证明签名者始终是同一密钥持有者，不证明其身份。`,
    );
  }
  return new Words(
    "A root that a station made itself (O=self-made by …) would bind to no authority.",
    "采集站自制的根证书（O=self-made by …）不归属任何机构。",
  );
}

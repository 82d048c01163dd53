/** Everything the page itself says, in English and Chinese. What verification says comes from `verification`. */

const TEXTS = {
  title: ["Check an evidence bundle", "核验证据包"],
  skip: ["To the result", "跳到结果"],
  lead: [
    "Is every file, byte for byte, what the docking station sealed? Was anything taken out? Who signed it, and since when does it exist? This page answers in your browser. Nothing is sent anywhere: its own policy forbids every connection.",
    "每个文件是否与采集站固证时逐字节一致？有没有被抽走的内容？由谁签名？何时已经存在？本页在您的浏览器中作出回答。不向任何地方发送任何内容：页面自身的安全策略禁止一切网络连接。",
  ],
  caution: ["Did this page come with the bundle? Then do not believe it yet.", "这个页面是随证据包一起来的吗？那么先不要相信它。"],
  cautionWhy: [
    "A forger's page would show green as well, and no page can vouch for itself. Fetch verify.html from where edged is published, or compare this file's SHA-256 with the one published with the release:",
    "伪造者的页面同样会显示“已验证”，任何页面都不能证明自己。请从 edged 的发布处取得 verify.html，或将本文件的 SHA-256 与随版本公布的值核对：",
  ],
  bundleTitle: ["1. The bundle", "1. 证据包"],
  bundleHint: ["Drop the bundle's folder or zip anywhere on this page, or choose it.", "将证据包的文件夹或 zip 拖到页面任意处，或在此选择。"],
  chooseFolder: ["Choose folder…", "选择文件夹…"],
  chooseZip: ["Choose zip…", "选择 zip…"],
  trustTitle: ["2. What you trust", "2. 您信任的依据"],
  trustHint: [
    "From their owners, not from the bundle: what lies in its trust folder proves nothing about it.",
    "请向其所有者取得，不要使用证据包自带的：其 trust 文件夹中的内容不能证明该证据包。",
  ],
  roots: ["Root certificate of the station", "采集站根证书"],
  rootsHint: ["PEM. Says whose key signed.", "PEM。用于确认签名密钥归属。"],
  tsas: ["Root of a time-stamping authority", "时间戳机构根证书"],
  tsasHint: ["PEM. Says since when it exists.", "PEM。用于确认何时已经存在。"],
  policy: ["Witness policy", "见证策略"],
  policyHint: ["tlog-policy. Says which witnesses count.", "tlog-policy。规定采信哪些见证方。"],
  crls: ["Revocation lists", "证书吊销列表"],
  crlsHint: ["PEM or DER.", "PEM 或 DER。"],
  add: ["Add…", "添加…"],
  addTo: ["Add: {}", "添加：{}"],
  remove: ["Remove {}", "移除 {}"],
  refused: ["{} is not that: {}", "{} 不是所需文件：{}"],
  isPolicy: ["{} witness(es), quorum “{}”", "{} 个见证方，法定数“{}”"],
  isCrls: ["{} list(s)", "{} 份列表"],
  wrongPlace: ["Drop {} on the field it belongs to, under “What you trust”.", "请将 {} 拖到“您信任的依据”下相应的栏目。"],
  resultTitle: ["Result", "结果"],
  reading: ["Reading {}", "正在读取 {}"],
  digesting: ["Digesting: {} of {} ({} %)", "正在计算摘要：{} / {}（{}%）"],
  checking: ["Checking entries, proofs and signatures", "正在核验条目、证明和签名"],
  done: ["Done.", "完成。"],
  unreadable: ["This cannot be read as a bundle, so there is no verdict.", "无法作为证据包读取，因此没有结论。"],
  broken: ["The page itself failed. This says nothing about the bundle.", "页面自身出错，与证据包无关。"],
  dropRefused: [
    "This browser does not show a page that was opened as a file what is in a dropped folder. Use “Choose folder…”, or drop a zip of it.",
    "此浏览器不允许以文件方式打开的页面读取拖入的文件夹。请使用“选择文件夹…”，或拖入其 zip。",
  ],
  noCrypto: [
    "This browser does not let a page from this place use its cryptography (WebCrypto). Open the page as a file in a current Firefox, Chrome, Edge or Safari.",
    "此浏览器不允许此处的页面使用其密码功能（WebCrypto）。请用较新的 Firefox、Chrome、Edge 或 Safari 以文件方式打开本页。",
  ],
  wholeBundle: ["The bundle as a whole", "证据包整体"],
  originals: ["Originals", "原件"],
  footage: ["Footage by the recorders' own clocks", "录像分布（按记录仪自身时钟）"],
  footageLabel: ["{}: {} recording(s) from {} to {}, {} damaged", "{}：{} 段录像，{} 至 {}，受损 {} 段"],
  findings: ["What the evidence itself says", "证据自身所述"],
  notProven: ["What no check shows", "任何检查都不能证明的事情"],
  notChecked: ["What this browser could not check", "此浏览器无法检查的事情"],
  notLinks: [
    "Whether a file in the folder is a link, and whether there are empty folders: a browser shows neither for a chosen folder. A zip hides nothing.",
    "所选文件夹中是否有链接文件或空文件夹：浏览器不会显示。zip 则无从隐藏。",
  ],
  notDroppedLinks: [
    "Whether a file in the folder is a link: a browser does not say. A zip hides nothing.",
    "文件夹中的文件是否为链接：浏览器不会说明。zip 则无从隐藏。",
  ],
  notItself: [
    "Whether this page, this browser and this computer are honest, and whether the computer's clock is right: it decides whether a time-stamping authority is still valid.",
    "本页面、此浏览器和这台计算机是否可信，以及计算机时钟是否正确：它决定时间戳机构目前是否仍然有效。",
  ],
  method: ["How it was checked", "核验方法"],
  methodBytes: [
    "Every file: SHA-256 of the whole by @noble/hashes, and of each 8 MiB by the browser's WebCrypto, in one pass over the bytes; both must be what was sealed.",
    "每个文件：一次读取同时计算整个文件的 SHA-256（@noble/hashes）和每 8 MiB 的 SHA-256（浏览器 WebCrypto），两者均须与固证时一致。",
  ],
  methodSigned: [
    "Entries, proofs, checkpoints and cosignatures: EVIDENCE.md version 1, RFC 8785, RFC 6962, C2SP; Ed25519 by @noble/curves. Certificates, revocation lists and time stamps: read by pkijs, RSA and ECDSA by WebCrypto.",
    "条目、证明、检查点和见证签名：EVIDENCE.md 第 1 版、RFC 8785、RFC 6962、C2SP；Ed25519 使用 @noble/curves。证书、吊销列表和时间戳：由 pkijs 读取，RSA 与 ECDSA 使用 WebCrypto。",
  ],
  methodWhen: ["Checked on {} by this computer's clock, with {}.", "核验时间 {}（按本机时钟），浏览器 {}。"],
  print: ["Print", "打印"],
  save: ["Save the report (JSON)", "保存报告（JSON）"],
  size: ["Size", "大小"],
  recorder: ["Recorder", "记录仪"],
  officer: ["Officer", "执法人员"],
  recordedAt: ["Recorded (its own claim)", "录制时间（自称）"],
  sealedAt: ["Sealed (station's clock)", "固证时间（采集站时钟）"],
  existed: ["Existed", "存在时间"],
  existedBy: ["by {}", "不晚于 {}"],
  existedFrom: ["after {}", "晚于 {}"],
  root: ["Signed under the root", "所依根证书"],
  compare: ["Compare its SHA-256 with what its owner tells you.", "请将其 SHA-256 与签发机构告知的核对。"],
  place: ["On the card", "卡上路径"],
  important: ["important", "重要"],
  notHere: ["(file not here)", "（文件不在此处）"],
  play: ["Play the original", "播放原件"],
  show: ["Show the original", "显示原件"],
  playProxy: ["Play the copy for viewing ({})", "播放观看副本（{}）"],
  unplayable: ["This browser cannot play this file.", "此浏览器无法播放该文件。"],
  bytesLine: ["Its bytes: where it was altered", "字节分布：改动位置"],
  intact: ["No stretch of {} differs from what was sealed.", "{} 没有与固证时不同的部分。"],
  damagedAt: ["{} of {} stretches of 8 MiB differ.", "{}／{} 个 8 MiB 分段与固证时不同。"],
  allDamaged: ["The file differs, and the sealed chunk list is not here to say where.", "文件不同，但缺少固证时的分块清单，无法指出位置。"],
  goTo: ["Go to {}", "跳到 {}"],
  history: ["Custody history", "经手记录"],
  custodyTitle: ["Custody record of the whole bundle", "整个证据包的经手记录"],
  historyAll: ["{} entries", "{} 条"],
  historyNote: ["Times are the station's own clock; a line is struck out where its entry is not proven.", "时间为采集站自身时钟；条目未获证明的行以删除线标出。"],
  when: ["When", "时间"],
  what: ["What", "事项"],
  who: ["By", "操作者"],
  facts: ["What the entry says", "条目内容"],
  notValid: ["no valid entry", "不是有效条目"],
  reason: ["Reason", "理由"],
  more: ["Show {} more", "再显示 {} 项"],
  files: ["{} · {} files · {}", "{} · {} 个文件 · {}"],
  failedHere: ["Failed:", "不通过："],
  openHere: ["Not established:", "未能证实："],
  recordedMark: ["recorded", "有录像"],
  alteredMark: ["altered since it was sealed", "固证后被改动"],
  foot: ["One file, no network, made from the sources of", "单一文件，不联网，由以下源代码构建："],
  licences: ["Licences of the libraries in this page", "本页所含程序库的许可证"],
};

/** What happened, by type of entry. */
const EVENTS = {
  genesis: ["A log begins", "日志开始"],
  docking: ["Recorder docked", "记录仪接入"],
  segment: ["Sealed", "固证"],
  sighting: ["Met again", "再次见到"],
  undocking: ["Recorder undocked", "记录仪离站"],
  clearance: ["Cleared for erasing", "放行"],
  wipe: ["Erased from the recorder", "从记录仪清除"],
  anomaly: ["Anomaly", "异常"],
  classification: ["Classified", "归类"],
  correction: ["Corrected by a person", "人工更正"],
  hold: ["Hold", "保全"],
  derivative: ["Copy for viewing made", "制作衍生件"],
  replica: ["Copy verified", "副本已核验"],
  retire: ["Copy removed", "移除副本"],
  disposal: ["Disposal", "销毁"],
  policy: ["Configuration", "配置"],
  export: ["Handed over", "导出"],
  review: ["Review", "审查"],
  disclosure: ["Disclosure", "公开"],
  anchor: ["Anchored in time", "时间锚"],
  close: ["The log ends", "日志结束"],
};

let language = navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en";

export function currentLanguage() {
  return language;
}

/** Switch to `en` or `zh`, and say all that stands in the page in it. */
export function setLanguage(wanted) {
  language = wanted;
  document.documentElement.lang = wanted === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = t(each.dataset.text);
  for (const each of document.querySelectorAll("[data-language]")) {
    each.setAttribute("aria-pressed", String(each.dataset.language === wanted));
  }
}

/** Give a text of the page, its `{}` filled in order. */
export function t(key, ...values) {
  return filled(TEXTS[key], values);
}

/** Give what an entry of a type is about; a type of a later version is its own name. */
export function eventOf(type) {
  return Object.hasOwn(EVENTS, type) ? filled(EVENTS[type], []) : type;
}

/** Give words of verification in the current language. */
export function say(words) {
  return language === "zh" ? words.zh : words.en;
}

/** Write a number of bytes for a person. */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [count, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

function filled([en, zh], values) {
  let at = 0;
  return (language === "zh" ? zh : en).replace(/\{\}/g, () => String(values[at++]));
}

-- The book of a station: the ledger, what is projected from it, the registers, and the notes of work under way.
--
-- Three kinds of tables, never mixed (DESIGN.md, section 2):
--   ledger       epoch, entry, node, head          what happened; append-only
--   projection   from `names` to `total`           derived from `entry`, in the same transaction; `rebuild` makes them anew
--   the rest     documents, registers, work        documents are cited by entries; work tables may be lost at no harm
--
-- No question that a docking or a start asks may read a whole table that grows with the station's age.
--
-- Digests are lower-case hex text, as entries write them, except the hashes of the Merkle tree (32 raw bytes).
-- Times are RFC 3339 text, as entries write them. `position` counts entries across epochs, from 1.

---------------------------------------------------------------------------------------------------- ledger

-- One signing key's span of the ledger (EVIDENCE.md, section 4).
CREATE TABLE epoch (
    number INTEGER PRIMARY KEY,            -- 1, 2, 3 … in the order they were opened
    id TEXT NOT NULL UNIQUE,               -- EPOCH of the origin, YYYY-MM-xxxx
    origin TEXT NOT NULL UNIQUE,           -- DOMAIN/STATION/EPOCH
    -- 1 after its `close` entry; 2 where its log went on elsewhere: this station signs nothing more of it
    closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1, 2))
) STRICT;
CREATE UNIQUE INDEX epoch_one_open ON epoch (closed) WHERE closed = 0;
-- An epoch that holds no `close` is opened again only to take in what was published of it.
CREATE TRIGGER epoch_is_final BEFORE UPDATE ON epoch
WHEN (NEW.number, NEW.id, NEW.origin) <> (OLD.number, OLD.id, OLD.origin)
    OR (OLD.closed AND (NEW.closed OR EXISTS (SELECT 1 FROM entry WHERE epoch = OLD.number AND type = 'close')))
BEGIN SELECT RAISE (ABORT, 'an epoch is only ever closed'); END;
CREATE TRIGGER epoch_stays BEFORE DELETE ON epoch
WHEN EXISTS (SELECT 1 FROM entry WHERE epoch = OLD.number) OR EXISTS (SELECT 1 FROM head WHERE epoch = OLD.number)
BEGIN SELECT RAISE (ABORT, 'an epoch with entries stays'); END;

-- Every entry, as the exact bytes that are hashed into the tree.
CREATE TABLE entry (
    position INTEGER PRIMARY KEY,          -- across epochs, from 1; never used twice
    epoch INTEGER NOT NULL REFERENCES epoch (number),
    seq INTEGER NOT NULL CHECK (seq >= 0), -- index in the epoch's log
    ref TEXT NOT NULL UNIQUE CHECK (length(ref) = 64),  -- SHA-256 of `bytes`
    type TEXT NOT NULL,                    -- as in the envelope, for finding entries
    bytes BLOB NOT NULL,                   -- canonical JSON
    UNIQUE (epoch, seq)
) STRICT;
CREATE INDEX entry_by_type ON entry (epoch, type, seq);
-- A trigger and not only UNIQUE: INSERT OR REPLACE deletes what is in its way without asking `entry_stays`.
CREATE TRIGGER entry_comes_next BEFORE INSERT ON entry
WHEN NEW.seq <> (SELECT coalesce(max(seq) + 1, 0) FROM entry WHERE epoch = NEW.epoch)
    OR EXISTS (SELECT 1 FROM entry WHERE position = NEW.position)
    OR EXISTS (SELECT 1 FROM entry WHERE ref = NEW.ref)
    OR EXISTS (SELECT 1 FROM epoch WHERE number = NEW.epoch AND closed)
BEGIN SELECT RAISE (ABORT, 'an entry is new, follows the last one, and lies in an open epoch'); END;
CREATE TRIGGER entry_is_final BEFORE UPDATE ON entry BEGIN SELECT RAISE (ABORT, 'entries are never changed'); END;
-- What no head covers was signed by nobody. It may be set aside, where it is kept word for word.
CREATE TRIGGER entry_stays BEFORE DELETE ON entry
WHEN EXISTS (SELECT 1 FROM head WHERE head.epoch = OLD.epoch AND head.size > OLD.seq)
    OR NOT EXISTS (SELECT 1 FROM aside WHERE aside.position = OLD.position AND aside.bytes = OLD.bytes)
BEGIN SELECT RAISE (ABORT, 'entries are never deleted'); END;

-- Entries that were never signed, and left the ledger when it turned out that its log had gone on elsewhere (a
-- restored backup, a cloned disk). What they say was written anew into the next epoch.
CREATE TABLE aside (
    position INTEGER PRIMARY KEY,          -- as it was in `entry`
    epoch TEXT NOT NULL,                   -- id of the epoch it was written for
    seq INTEGER NOT NULL,
    ref TEXT NOT NULL,
    bytes BLOB NOT NULL,
    again TEXT                             -- reference of the entry that says the same now; null where none needs to
) STRICT;
CREATE TRIGGER aside_stays BEFORE DELETE ON aside BEGIN SELECT RAISE (ABORT, 'what was set aside is kept'); END;

-- Entries that this book had lost and took in again from the published ledger. Documents that they cite are not here.
CREATE TABLE recovered (
    first INTEGER PRIMARY KEY,             -- position of the first of them
    last INTEGER NOT NULL CHECK (last >= first)
) STRICT;

-- Hashes of the complete subtrees of each epoch's Merkle tree (RFC 6962); level 0 are the leaves.
CREATE TABLE node (
    epoch INTEGER NOT NULL REFERENCES epoch (number),
    level INTEGER NOT NULL CHECK (level >= 0),
    idx INTEGER NOT NULL CHECK (idx >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (epoch, level, idx)
) STRICT, WITHOUT ROWID;

-- Every tree head this station ever decided to sign. Size and root are durable here before the signature is made,
-- so that no second root can be signed for a size, nor a smaller size after a larger one.
CREATE TABLE head (
    epoch INTEGER NOT NULL REFERENCES epoch (number),
    size INTEGER NOT NULL CHECK (size > 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    note BLOB,                             -- the signed checkpoint, byte for byte; null until it is signed
    published INTEGER NOT NULL DEFAULT 0 CHECK (published IN (0, 1)),  -- 1 once central storage has it
    PRIMARY KEY (epoch, size)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER head_only_grows BEFORE INSERT ON head
WHEN EXISTS (SELECT 1 FROM head WHERE epoch = NEW.epoch AND size >= NEW.size)
BEGIN SELECT RAISE (ABORT, 'a larger or equal size was already decided'); END;
CREATE TRIGGER head_is_final BEFORE UPDATE OF epoch, size, root ON head
BEGIN SELECT RAISE (ABORT, 'a decided head is never changed'); END;
CREATE TRIGGER head_is_signed_once BEFORE UPDATE OF note ON head WHEN OLD.note IS NOT NULL
BEGIN SELECT RAISE (ABORT, 'a head is signed once'); END;
-- One that was never signed goes with the entries that are set aside.
CREATE TRIGGER head_stays BEFORE DELETE ON head
WHEN OLD.note IS NOT NULL OR NOT EXISTS (SELECT 1 FROM aside JOIN epoch ON epoch.id = aside.epoch
    WHERE epoch.number = OLD.epoch AND aside.seq = OLD.size - 1)
BEGIN SELECT RAISE (ABORT, 'heads are never deleted'); END;

------------------------------------------------------------------------------------------------ projections

-- Which entries name which thing: what custody of a segment, docking, case or recorder is found by.
CREATE TABLE names (
    kind TEXT NOT NULL CHECK (kind IN ('segment', 'docking', 'case', 'recorder')),
    id TEXT NOT NULL,
    position INTEGER NOT NULL REFERENCES entry (position),
    PRIMARY KEY (kind, id, position)
) STRICT, WITHOUT ROWID;

-- One visit of a recorder in a bay.
CREATE TABLE docking (
    docking TEXT PRIMARY KEY,
    position INTEGER NOT NULL REFERENCES entry (position),
    bay TEXT NOT NULL,
    recorder TEXT NOT NULL,
    officer TEXT,
    inventory_sha256 TEXT NOT NULL,        -- key of `document`
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    began TEXT NOT NULL,                   -- the entry's time
    outcome TEXT CHECK (outcome IN ('cleared', 'interrupted', 'kept')),  -- null while it lasts
    remaining INTEGER                      -- files on the card at the end
) STRICT;
CREATE INDEX docking_open ON docking (bay) WHERE outcome IS NULL;
CREATE INDEX docking_by_bay ON docking (bay, position);
CREATE INDEX docking_by_recorder ON docking (recorder, position);

-- One file as a recorder wrote it, sealed.
CREATE TABLE segment (
    segment TEXT PRIMARY KEY,
    position INTEGER NOT NULL UNIQUE REFERENCES entry (position),
    docking TEXT NOT NULL REFERENCES docking (docking),
    recorder TEXT NOT NULL,
    recorder_seq INTEGER NOT NULL CHECK (recorder_seq > 0),
    path TEXT NOT NULL,                    -- escaped, relative to the card's root
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    sha256 TEXT NOT NULL,
    chunks_sha256 TEXT NOT NULL,
    officer TEXT,
    started TEXT,                          -- the recorder's claim
    ended TEXT,
    uncertainty_ms INTEGER NOT NULL,
    important INTEGER NOT NULL CHECK (important IN (0, 1)),
    side_of TEXT,                          -- segment this is a side file of
    quarantine TEXT,                       -- code, or null
    unreadable TEXT,                       -- why the media could not be read, or null
    container TEXT,                        -- null where it could not
    video TEXT,
    audio TEXT,
    duration_ms INTEGER,
    sealed TEXT NOT NULL,                  -- the entry's time
    UNIQUE (recorder, recorder_seq)
) STRICT;

-- Each path of a docking that is accounted for: sealed under it, or sighted there.
CREATE TABLE found (
    docking TEXT NOT NULL REFERENCES docking (docking),
    path TEXT NOT NULL,
    segment TEXT NOT NULL REFERENCES segment (segment),
    how TEXT NOT NULL CHECK (how IN ('sealed', 'sighted')),
    position INTEGER NOT NULL REFERENCES entry (position),  -- the entry that says so
    PRIMARY KEY (docking, path)
) STRICT, WITHOUT ROWID;

-- Files of a docking that are in quarantine. What two readings of the same docking gave alike since is not any more.
CREATE VIEW distrusted AS
SELECT found.docking, found.path FROM found JOIN segment USING (segment) JOIN entry ON entry.position = found.position
WHERE segment.quarantine IS NOT NULL AND NOT (segment.quarantine = 'second-reading-differs'
    AND coalesce(json_extract(CAST(entry.bytes AS TEXT), '$.body.second_reading'), '') = 'agrees');

-- Copies that were verified: `vault` for the station's own, else the central store.
CREATE TABLE replica (
    segment TEXT NOT NULL REFERENCES segment (segment),
    store TEXT NOT NULL,
    position INTEGER NOT NULL REFERENCES entry (position),
    key TEXT NOT NULL,
    version TEXT,
    checksum TEXT NOT NULL,
    checksum_type TEXT NOT NULL,
    verified TEXT NOT NULL CHECK (verified IN ('server-checksum', 'read-back')),
    method TEXT NOT NULL,
    locked_until TEXT,
    PRIMARY KEY (segment, store)
) STRICT, WITHOUT ROWID;
CREATE INDEX replica_by_lock ON replica (store, locked_until) WHERE locked_until IS NOT NULL;

-- Copies that were removed on purpose while others stay (`retire`).
CREATE TABLE retired (
    segment TEXT NOT NULL REFERENCES segment (segment),
    store TEXT NOT NULL,
    position INTEGER NOT NULL REFERENCES entry (position),  -- of the entry that orders it
    gone INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),  -- 1 once a further entry says that the copy is gone
    PRIMARY KEY (segment, store)
) STRICT, WITHOUT ROWID;
CREATE INDEX retired_pending ON retired (store, position) WHERE gone = 0;

-- The classification in force of each segment.
CREATE TABLE classification (
    segment TEXT PRIMARY KEY REFERENCES segment (segment),
    position INTEGER NOT NULL REFERENCES entry (position),
    sealed_at INTEGER NOT NULL,            -- position of the segment's own entry
    "case" TEXT,
    matter TEXT,
    stage TEXT,
    secrecy TEXT,
    publicity TEXT,
    rule TEXT,
    retain_until TEXT NOT NULL,            -- date, `permanent` or `undetermined`
    basis TEXT NOT NULL,
    confidence INTEGER NOT NULL
) STRICT;
CREATE INDEX classification_by_case ON classification ("case");
CREATE INDEX classification_undetermined ON classification (sealed_at) WHERE retain_until = 'undetermined';
CREATE INDEX classification_unsettled ON classification (sealed_at)
WHERE retain_until = 'undetermined' OR "case" IS NULL;

-- What was made from a segment.
CREATE TABLE derivative (
    segment TEXT NOT NULL REFERENCES segment (segment),
    kind TEXT NOT NULL,
    position INTEGER NOT NULL REFERENCES entry (position),
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (segment, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX derivative_in_order ON derivative (position);

-- Files that were cleared for erasing, and what became of them.
CREATE TABLE clearance (
    docking TEXT NOT NULL REFERENCES docking (docking),
    path TEXT NOT NULL,
    segment TEXT NOT NULL REFERENCES segment (segment),
    ref TEXT NOT NULL,                     -- of the newest `clearance` entry that names the file
    outcome TEXT CHECK (outcome IN ('gone', 'present', 'unknown')),  -- null until a `wipe` entry says it
    PRIMARY KEY (docking, path)
) STRICT, WITHOUT ROWID;

-- What was out of order.
CREATE TABLE anomaly (
    position INTEGER PRIMARY KEY REFERENCES entry (position),
    kind TEXT NOT NULL,
    docking TEXT,
    noted TEXT NOT NULL                    -- the entry's time
) STRICT;

-- What bounds the ledger in time from outside; the token or the signature line itself is a `document`.
CREATE TABLE anchor (
    position INTEGER PRIMARY KEY REFERENCES entry (position),
    sha256 TEXT NOT NULL,                  -- key of `document`
    kind TEXT NOT NULL CHECK (kind IN ('rfc3161', 'cosignature')),
    name TEXT NOT NULL,                    -- of the authority or witness in the configuration
    origin TEXT NOT NULL,                  -- of the log whose checkpoint it is over
    size INTEGER NOT NULL CHECK (size > 0),  -- of that checkpoint
    moment TEXT NOT NULL,                  -- the time that it states
    expires TEXT,                          -- until when a token's authority is valid; null for a cosignature
    renewal INTEGER NOT NULL CHECK (renewal >= 0)  -- 0, or the how-many-th renewal of a token this is
) STRICT;
CREATE INDEX anchor_by_size ON anchor (origin, size);
CREATE INDEX anchor_by_name ON anchor (origin, name, size, renewal);
CREATE INDEX anchor_by_digest ON anchor (sha256);
CREATE INDEX anchor_by_expiry ON anchor (expires) WHERE expires IS NOT NULL;

-- How much there is in the projections, so that nobody has to count them: one row, kept by the triggers below.
CREATE TABLE total (
    only INTEGER PRIMARY KEY DEFAULT 1 CHECK (only = 1),
    segments INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,          -- of all segments
    quarantined INTEGER NOT NULL DEFAULT 0,    -- segments that are kept and not trusted
    reread INTEGER NOT NULL DEFAULT 0,         -- segments with a copy in the vault that was read back
    replicated INTEGER NOT NULL DEFAULT 0,     -- segments with a copy elsewhere
    retired INTEGER NOT NULL DEFAULT 0,        -- segments whose copy in the vault was removed, or is about to be
    undetermined INTEGER NOT NULL DEFAULT 0,   -- segments whose term nobody knows
    wiped INTEGER NOT NULL DEFAULT 0,          -- files that were erased from recorders
    anomalies INTEGER NOT NULL DEFAULT 0,
    dockings INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO total DEFAULT VALUES;
CREATE TRIGGER total_stays BEFORE DELETE ON total BEGIN SELECT RAISE (ABORT, 'totals follow what they count'); END;
CREATE TRIGGER total_docking_comes AFTER INSERT ON docking BEGIN UPDATE total SET dockings = dockings + 1; END;
CREATE TRIGGER total_docking_goes AFTER DELETE ON docking BEGIN UPDATE total SET dockings = dockings - 1; END;
CREATE TRIGGER total_segment_comes AFTER INSERT ON segment BEGIN
    UPDATE total SET segments = segments + 1, bytes = bytes + NEW.bytes,
        quarantined = quarantined + (NEW.quarantine IS NOT NULL);
END;
CREATE TRIGGER total_segment_goes AFTER DELETE ON segment BEGIN
    UPDATE total SET segments = segments - 1, bytes = bytes - OLD.bytes,
        quarantined = quarantined - (OLD.quarantine IS NOT NULL);
END;
CREATE TRIGGER total_vault_copy_comes AFTER INSERT ON replica WHEN NEW.store = 'vault'
BEGIN UPDATE total SET reread = reread + 1; END;
CREATE TRIGGER total_vault_copy_goes AFTER DELETE ON replica WHEN OLD.store = 'vault'
BEGIN UPDATE total SET reread = reread - 1; END;
CREATE TRIGGER total_copy_comes AFTER INSERT ON replica WHEN NEW.store <> 'vault' AND NOT EXISTS (
    SELECT 1 FROM replica WHERE segment = NEW.segment AND store NOT IN ('vault', NEW.store))
BEGIN UPDATE total SET replicated = replicated + 1; END;
CREATE TRIGGER total_copy_goes AFTER DELETE ON replica WHEN OLD.store <> 'vault' AND NOT EXISTS (
    SELECT 1 FROM replica WHERE segment = OLD.segment AND store <> 'vault')
BEGIN UPDATE total SET replicated = replicated - 1; END;
CREATE TRIGGER total_retired_comes AFTER INSERT ON retired WHEN NEW.store = 'vault'
BEGIN UPDATE total SET retired = retired + 1; END;
CREATE TRIGGER total_retired_goes AFTER DELETE ON retired WHEN OLD.store = 'vault'
BEGIN UPDATE total SET retired = retired - 1; END;
CREATE TRIGGER total_term_comes AFTER INSERT ON classification WHEN NEW.retain_until = 'undetermined'
BEGIN UPDATE total SET undetermined = undetermined + 1; END;
CREATE TRIGGER total_term_changes AFTER UPDATE OF retain_until ON classification BEGIN
    UPDATE total SET undetermined = undetermined + (NEW.retain_until = 'undetermined')
        - (OLD.retain_until = 'undetermined');
END;
CREATE TRIGGER total_term_goes AFTER DELETE ON classification WHEN OLD.retain_until = 'undetermined'
BEGIN UPDATE total SET undetermined = undetermined - 1; END;
CREATE TRIGGER total_wipe_changes AFTER UPDATE OF outcome ON clearance
BEGIN UPDATE total SET wiped = wiped + (NEW.outcome IS 'gone') - (OLD.outcome IS 'gone'); END;
CREATE TRIGGER total_wipe_goes AFTER DELETE ON clearance WHEN OLD.outcome = 'gone'
BEGIN UPDATE total SET wiped = wiped - 1; END;
CREATE TRIGGER total_anomaly_comes AFTER INSERT ON anomaly BEGIN UPDATE total SET anomalies = anomalies + 1; END;
CREATE TRIGGER total_anomaly_goes AFTER DELETE ON anomaly BEGIN UPDATE total SET anomalies = anomalies - 1; END;

--------------------------------------------------------------------------------------- documents and registers

-- Longer things that entries cite by SHA-256: inventories, export lists, tokens and signature lines.
CREATE TABLE document (
    sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
    bytes BLOB NOT NULL
) STRICT;

-- Free text of persons, cited by entries through its salted digest (EVIDENCE.md, section 2).
CREATE TABLE reason_text (
    digest TEXT PRIMARY KEY CHECK (length(digest) = 64),
    salt TEXT NOT NULL CHECK (length(salt) = 32),
    text TEXT NOT NULL
) STRICT;

-- Cases as the feed told them; one row a time window of a case.
CREATE TABLE case_record (
    id INTEGER PRIMARY KEY,
    "case" TEXT NOT NULL,
    record TEXT NOT NULL,                  -- the whole record, JSON
    source TEXT NOT NULL,                  -- SHA-256 of the feed file that told it
    UNIQUE ("case", record)
) STRICT;
-- By whom, and until when: a segment is compared with the records of its own recorder or officer alone.
CREATE INDEX case_record_by_recorder ON case_record
    (json_extract(record, '$.recorder'), json_extract(record, '$.until'));
CREATE INDEX case_record_by_officer ON case_record
    (json_extract(record, '$.officer'), json_extract(record, '$.until')) WHERE json_extract(record, '$.recorder') IS NULL;

------------------------------------------------------------------------------------------------------- work

-- Multipart uploads under way.
CREATE TABLE upload (
    key TEXT PRIMARY KEY,
    upload_id TEXT NOT NULL
) STRICT;

-- Parts of them that the store has taken.
CREATE TABLE upload_part (
    key TEXT NOT NULL REFERENCES upload (key) ON DELETE CASCADE,
    part INTEGER NOT NULL CHECK (part > 0),
    etag TEXT NOT NULL,
    PRIMARY KEY (key, part)
) STRICT, WITHOUT ROWID;

-- Work on a segment that needs no entry or cannot be done, so that it is not tried for ever.
CREATE TABLE settled (
    segment TEXT NOT NULL,
    work TEXT NOT NULL,                    -- e.g. `derive poster`, `upload proxy`
    outcome TEXT NOT NULL,                 -- `done`, or why not
    PRIMARY KEY (segment, work)
) STRICT, WITHOUT ROWID;

-- Up to which segment (or derivative) a kind of work is known to be done, so that a start need not look at all again.
CREATE TABLE mark (
    work TEXT PRIMARY KEY,                 -- e.g. `replicate central`, `derive poster`
    position INTEGER NOT NULL CHECK (position > 0)
) STRICT, WITHOUT ROWID;
-- Segments leave their table only to be projected anew: what was done may be undone then, so all is looked at again.
CREATE TRIGGER marks_are_made_anew AFTER DELETE ON segment BEGIN DELETE FROM mark; END;

-- Up to which entry each MQTT broker was told the events.
CREATE TABLE outbox (
    broker TEXT PRIMARY KEY,               -- `supervision.id` of the configuration
    position INTEGER NOT NULL CHECK (position > 0)  -- of the last entry that it confirmed; entries before it, too
) STRICT, WITHOUT ROWID;

-- Checkpoints that every authority and witness is to anchor; what each still owes follows from `anchor`.
CREATE TABLE anchoring (
    epoch INTEGER NOT NULL REFERENCES epoch (number),
    size INTEGER NOT NULL CHECK (size > 0),
    PRIMARY KEY (epoch, size)
) STRICT, WITHOUT ROWID;

-- Up to which entry central storage holds the anchors.
CREATE TABLE anchors_published (
    store TEXT PRIMARY KEY,
    position INTEGER NOT NULL CHECK (position > 0)
) STRICT, WITHOUT ROWID;
-- Anchors leave their table only to be projected anew, and positions are given out again then: all are put once more.
CREATE TRIGGER anchors_are_published_anew AFTER DELETE ON anchor BEGIN DELETE FROM anchors_published; END;

-- How much of each epoch's tree central storage holds as tiles.
CREATE TABLE tiles_published (
    epoch INTEGER PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT;

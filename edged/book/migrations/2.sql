-- From version 1 to 2: totals are kept instead of counted, cases are found by whom they are about, and
-- kinds of work remember how far they are.
-- The statements are those of `schema.sql`, and then what they find in an older book.

-- Copies that were removed on purpose while others stay (`retire`).
CREATE TABLE retired (
    segment TEXT NOT NULL REFERENCES segment (segment),
    store TEXT NOT NULL,
    position INTEGER NOT NULL REFERENCES entry (position),  -- of the entry that orders it
    gone INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),  -- 1 once a further entry says that the copy is gone
    PRIMARY KEY (segment, store)
) STRICT, WITHOUT ROWID;
CREATE INDEX retired_pending ON retired (store, position) WHERE gone = 0;
INSERT INTO retired (segment, store, position)
SELECT json_extract(body, '$.segment') AS segment, json_extract(body, '$.store') AS store, max(position) FROM (
    SELECT position, json_extract(CAST(bytes AS TEXT), '$.body') AS body FROM entry WHERE type = 'retire')
GROUP BY segment, store
HAVING NOT EXISTS (SELECT 1 FROM replica WHERE replica.segment = json_extract(body, '$.segment')
    AND replica.store = json_extract(body, '$.store'));

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
INSERT INTO total (segments, bytes, quarantined, reread, replicated, retired, undetermined, wiped, anomalies, dockings)
SELECT (SELECT count(*) FROM segment), (SELECT coalesce(sum(bytes), 0) FROM segment),
    (SELECT count(*) FROM segment WHERE quarantine IS NOT NULL),
    (SELECT count(*) FROM replica WHERE store = 'vault'),
    (SELECT count(DISTINCT segment) FROM replica WHERE store <> 'vault'),
    (SELECT count(*) FROM retired WHERE store = 'vault'),
    (SELECT count(*) FROM classification WHERE retain_until = 'undetermined'),
    (SELECT count(*) FROM clearance WHERE outcome = 'gone'),
    (SELECT count(*) FROM anomaly), (SELECT count(*) FROM docking);
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

-- By whom, and until when: a segment is compared with the records of its own recorder or officer alone.
CREATE INDEX case_record_by_recorder ON case_record
    (json_extract(record, '$.recorder'), json_extract(record, '$.until'));
CREATE INDEX case_record_by_officer ON case_record
    (json_extract(record, '$.officer'), json_extract(record, '$.until')) WHERE json_extract(record, '$.recorder') IS NULL;

-- Up to which segment (or derivative) a kind of work is known to be done, so that a start need not look at all again.
CREATE TABLE mark (
    work TEXT PRIMARY KEY,                 -- e.g. `replicate central`, `derive poster`
    position INTEGER NOT NULL CHECK (position > 0)
) STRICT, WITHOUT ROWID;
-- Segments leave their table only to be projected anew: what was done may be undone then, so all is looked at again.
CREATE TRIGGER marks_are_made_anew AFTER DELETE ON segment BEGIN DELETE FROM mark; END;

-- Files of a docking that are in quarantine. What two readings of the same docking gave alike since is not any more.
CREATE VIEW distrusted AS
SELECT found.docking, found.path FROM found JOIN segment USING (segment) JOIN entry ON entry.position = found.position
WHERE segment.quarantine IS NOT NULL AND NOT (segment.quarantine = 'second-reading-differs'
    AND coalesce(json_extract(CAST(entry.bytes AS TEXT), '$.body.second_reading'), '') = 'agrees');

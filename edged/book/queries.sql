-- The statements of the book, each by its name. `:word` are values.

-------------------------------------------------------------------------------------------------- ledger

-- name: open_epoch
SELECT number, id, origin, closed FROM epoch WHERE closed = 0;

-- name: epochs
SELECT number, id, origin, closed FROM epoch ORDER BY number;

-- name: signing_epoch
-- The oldest one whose log is not published to its end.
SELECT number, id, origin, closed FROM epoch WHERE closed = 0 OR (closed = 1 AND NOT EXISTS (
    SELECT 1 FROM head WHERE head.epoch = epoch.number AND published = 1
    AND size = (SELECT max(seq) + 1 FROM entry WHERE entry.epoch = epoch.number)))
ORDER BY number LIMIT 1;

-- name: add_epoch
INSERT INTO epoch (id, origin) VALUES (:id, :origin);

-- name: close_epoch
UPDATE epoch SET closed = :how WHERE number = :epoch;

-- name: last_entry
SELECT seq, ref FROM entry WHERE epoch = :epoch ORDER BY seq DESC LIMIT 1;

-- name: add_entry
INSERT INTO entry (position, epoch, seq, ref, type, bytes) VALUES (1 + max(
    coalesce((SELECT max(position) FROM entry), 0), coalesce((SELECT max(position) FROM aside), 0)),
    :epoch, :seq, :ref, :type, :bytes);

-- name: last_position
SELECT coalesce(max(position), 0) AS position FROM entry;

-- name: place_of_entry
SELECT entry.seq, epoch.id AS epoch FROM entry JOIN epoch ON epoch.number = entry.epoch WHERE position = :position;

-- name: position_of
SELECT position FROM entry WHERE ref = :ref;

-- name: positions_naming
SELECT position FROM names WHERE kind = :kind AND id = :id ORDER BY position;

-- name: positions_of_type
SELECT position FROM epoch CROSS JOIN entry ON entry.epoch = epoch.number WHERE type = :type ORDER BY position;

-- name: add_node
INSERT INTO node (epoch, level, idx, hash) VALUES (:epoch, :level, :idx, :hash);

-- name: node
SELECT hash FROM node WHERE epoch = :epoch AND level = :level AND idx = :idx;

-- name: entries_between
SELECT seq, ref, type, bytes FROM entry WHERE epoch = :epoch AND seq >= :first AND seq < :end ORDER BY seq;

-- name: entry_at
SELECT bytes FROM entry WHERE epoch = :epoch AND seq = :seq;

-- name: seq_of
SELECT seq FROM entry WHERE epoch = :epoch AND ref = :ref;

-- name: entry_at_position
SELECT bytes FROM entry WHERE position = :position;

-- name: naming
SELECT entry.seq FROM names JOIN entry USING (position)
WHERE names.kind = :kind AND names.id = :id AND entry.epoch = :epoch ORDER BY entry.seq;

-- name: of_type
SELECT seq FROM entry WHERE epoch = :epoch AND type = :type ORDER BY seq;

-- name: newest_head
SELECT size, root, note, published FROM head WHERE epoch = :epoch ORDER BY size DESC LIMIT 1;

-- name: add_head
INSERT INTO head (epoch, size, root) VALUES (:epoch, :size, :root);

-- name: sign_head
UPDATE head SET note = :note WHERE epoch = :epoch AND size = :size AND note IS NULL;

-- name: signed_size
SELECT size FROM head WHERE epoch = :epoch AND note IS NOT NULL ORDER BY size DESC LIMIT 1;

-- name: publish_head
UPDATE head SET published = 1 WHERE epoch = :epoch AND size = :size;

-- name: published_size
SELECT size FROM head WHERE epoch = :epoch AND published = 1 ORDER BY size DESC LIMIT 1;

-- name: published_sizes
SELECT id, size FROM (SELECT id, (SELECT size FROM head WHERE head.epoch = epoch.number AND published = 1
    ORDER BY size DESC LIMIT 1) AS size FROM epoch) WHERE size IS NOT NULL;

-- name: head_covering
SELECT size, note FROM head WHERE epoch = :epoch AND size > :seq AND note IS NOT NULL ORDER BY size LIMIT 1;

-- name: heads
SELECT size, root, note, published FROM head WHERE epoch = :epoch ORDER BY size;

---------------------------------------------------------------------------------------------- projections

-- name: add_name
INSERT INTO names (kind, id, position) VALUES (:kind, :id, :position);

-- name: add_docking
INSERT INTO docking (docking, position, bay, recorder, officer, inventory_sha256, files, bytes, began)
VALUES (:docking, :position, :bay, :recorder, :officer, :inventory_sha256, :files, :bytes, :began);

-- name: end_docking
UPDATE docking SET outcome = :outcome, remaining = :remaining WHERE docking = :docking;

-- name: add_segment
INSERT INTO segment (segment, position, docking, recorder, recorder_seq, path, bytes, sha256, chunks_sha256, officer,
    started, ended, uncertainty_ms, important, side_of, quarantine, unreadable, container, video, audio, duration_ms, sealed)
VALUES (:segment, :position, :docking, :recorder, :recorder_seq, :path, :bytes, :sha256, :chunks_sha256, :officer,
    :started, :ended, :uncertainty_ms, :important, :side_of, :quarantine, :unreadable, :container, :video, :audio, :duration_ms,
    :sealed);

-- name: mark_segment
-- Marked as important at a path at which it was met again.
UPDATE segment SET important = 1 WHERE segment = :segment;

-- name: add_found
INSERT INTO found (docking, path, segment, how, position) VALUES (:docking, :path, :segment, :how, :position)
ON CONFLICT (docking, path) DO UPDATE SET segment = excluded.segment, how = excluded.how,
    position = excluded.position;

-- name: add_replica
INSERT INTO replica (segment, store, position, key, version, checksum, checksum_type, verified, method, locked_until)
VALUES (:segment, :store, :position, :key, :version, :checksum, :checksum_type, :verified, :method, :locked_until)
ON CONFLICT (segment, store) DO UPDATE SET position = excluded.position, key = excluded.key,
    version = excluded.version, checksum = excluded.checksum, checksum_type = excluded.checksum_type,
    verified = excluded.verified, method = excluded.method, locked_until = excluded.locked_until;

-- name: drop_replica
DELETE FROM replica WHERE segment = :segment AND store = :store;

-- name: add_retired
INSERT INTO retired (segment, store, position) VALUES (:segment, :store, :position)
ON CONFLICT (segment, store) DO UPDATE SET position = excluded.position, gone = 0;

-- name: retired_is_gone
UPDATE retired SET gone = 1 WHERE segment = :segment AND store = :store;

-- name: drop_retired
DELETE FROM retired WHERE segment = :segment AND store = :store;

-- name: add_classification
INSERT INTO classification (segment, position, sealed_at, "case", matter, stage, secrecy, publicity, rule,
    retain_until, basis, confidence)
VALUES (:segment, :position, (SELECT position FROM segment WHERE segment = :segment), :case, :matter, :stage, :secrecy,
    :publicity, :rule, :retain_until, :basis, :confidence)
ON CONFLICT (segment) DO UPDATE SET position = excluded.position, "case" = excluded."case", matter = excluded.matter,
    stage = excluded.stage, secrecy = excluded.secrecy, publicity = excluded.publicity, rule = excluded.rule,
    retain_until = excluded.retain_until, basis = excluded.basis, confidence = excluded.confidence;

-- name: add_derivative
INSERT INTO derivative (segment, kind, position, sha256, bytes) VALUES (:segment, :kind, :position, :sha256, :bytes)
ON CONFLICT (segment, kind) DO UPDATE SET position = excluded.position, sha256 = excluded.sha256,
    bytes = excluded.bytes;

-- name: add_clearance
INSERT INTO clearance (docking, path, segment, ref) VALUES (:docking, :path, :segment, :ref)
ON CONFLICT (docking, path) DO UPDATE SET ref = excluded.ref, outcome = NULL;

-- name: end_clearance
UPDATE clearance SET outcome = :outcome WHERE docking = :docking AND path = :path;

-- name: add_anomaly
INSERT INTO anomaly (position, kind, docking, noted) VALUES (:position, :kind, :docking, :noted);

-- name: add_anchor
INSERT INTO anchor (position, sha256, kind, name, origin, size, moment, expires, renewal)
VALUES (:position, :sha256, :kind, :name, :origin, :size, :moment, :expires, :renewal);

------------------------------------------------------------------------------------------------ facts

-- name: last_of_recorder
SELECT segment.recorder_seq, entry.ref FROM segment JOIN entry USING (position)
WHERE segment.recorder = :recorder ORDER BY segment.recorder_seq DESC LIMIT 1;

-- name: segment
SELECT * FROM segment WHERE segment = :segment;

-- name: segment_last_found_at
-- What is still on a card was there at its last dockings: older ones are not looked through for every new file.
SELECT segment.* FROM (SELECT docking, position FROM docking WHERE recorder = :recorder ORDER BY position DESC LIMIT 16)
    AS lately
CROSS JOIN found ON found.docking = lately.docking AND found.path = :path CROSS JOIN segment USING (segment)
WHERE segment.bytes = :bytes ORDER BY lately.position DESC LIMIT 1;

-- name: last_at_path
-- What the newest other docking of a recorder found at a path, and whether it was erased there.
-- What a person handed in says nothing about what the recorder held.
SELECT found.docking, found.segment, segment.sha256, clearance.outcome
FROM (SELECT docking, position FROM docking WHERE recorder = :recorder AND docking <> :but
    AND bay NOT GLOB 'intake-*' ORDER BY position DESC LIMIT 16) AS lately
CROSS JOIN found ON found.docking = lately.docking AND found.path = :path CROSS JOIN segment USING (segment)
LEFT JOIN clearance ON clearance.docking = found.docking AND clearance.path = found.path
ORDER BY lately.position DESC LIMIT 1;

-- name: docking
SELECT * FROM docking WHERE docking = :docking;

-- name: docking_entries
SELECT entry.bytes FROM docking JOIN entry ON entry.position = docking.position
WHERE docking.recorder = :recorder ORDER BY docking.position DESC LIMIT :most;

-- name: open_dockings
SELECT * FROM docking WHERE outcome IS NULL ORDER BY position;

-- name: last_docking_in
-- What was taken in again from the published ledger has lost its inventory, and nothing can be compared with it.
SELECT * FROM docking WHERE bay = :bay AND EXISTS (SELECT 1 FROM document WHERE sha256 = inventory_sha256)
ORDER BY position DESC LIMIT 1;

-- name: last_docking
-- What a person handed in says nothing about what the recorder holds.
SELECT * FROM docking WHERE recorder = :recorder AND bay NOT GLOB 'intake-*' AND docking IS NOT :but
    AND EXISTS (SELECT 1 FROM document WHERE sha256 = inventory_sha256) ORDER BY position DESC LIMIT 1;

-- name: found
SELECT path, segment, how FROM found WHERE docking = :docking;

-- name: clearances
SELECT path, segment, ref, outcome FROM clearance WHERE docking = :docking;

-- name: replicas
SELECT replica.*, entry.seq, entry.ref, epoch.id AS epoch
FROM replica JOIN entry USING (position) JOIN epoch ON epoch.number = entry.epoch WHERE segment = :segment;

-- name: locks_before
SELECT segment, locked_until FROM replica WHERE store = :store AND locked_until < :moment ORDER BY locked_until;

-- name: clearance_facts
SELECT found.path, segment.segment, segment.sha256, segment.sealed AS sealed_at, sealed.seq AS sealed_seq,
    sealed.ref AS sealed_ref, sealed_epoch.id AS sealed_epoch, said.seq AS said_seq, said.ref AS said_ref,
    said_epoch.id AS said_epoch, EXISTS (SELECT 1 FROM distrusted WHERE distrusted.docking = found.docking
        AND distrusted.path = found.path) AS distrusted
FROM found JOIN segment USING (segment)
JOIN entry AS sealed ON sealed.position = segment.position JOIN epoch AS sealed_epoch ON sealed_epoch.number = sealed.epoch
JOIN entry AS said ON said.position = found.position JOIN epoch AS said_epoch ON said_epoch.number = said.epoch
WHERE found.docking = :docking ORDER BY found.path;

-- name: retired
SELECT segment, gone FROM retired WHERE segment = :segment AND store = :store;

-- name: retiring
-- Ordered, and not said to be gone.
SELECT segment.*, entry.seq AS ordered_seq, epoch.id AS ordered_epoch
FROM retired JOIN segment USING (segment) JOIN entry ON entry.position = retired.position
JOIN epoch ON epoch.number = entry.epoch
WHERE retired.store = :store AND retired.gone = 0 AND retired.position > :after ORDER BY retired.position LIMIT :most;

-- name: not_retired
SELECT segment.* FROM segment
WHERE segment.position > :after AND segment.sealed < :before AND segment.quarantine IS NULL
AND NOT EXISTS (SELECT 1 FROM retired WHERE retired.segment = segment.segment AND retired.store = :store)
ORDER BY segment.position LIMIT :most;

-- name: last_segment_position
SELECT coalesce(max(position), 0) AS position FROM segment;

-- name: without_replica
SELECT segment.* FROM segment
WHERE segment.position > :after
AND NOT EXISTS (SELECT 1 FROM replica WHERE replica.segment = segment.segment AND replica.store = :store)
AND NOT EXISTS (SELECT 1 FROM retired WHERE retired.segment = segment.segment AND retired.store = 'vault')
AND NOT EXISTS (SELECT 1 FROM settled WHERE settled.segment = segment.segment AND settled.work = :work)
ORDER BY segment.important DESC, segment.position LIMIT :most;

-- name: unclassified
SELECT segment.* FROM segment
WHERE segment.position > :after
AND NOT EXISTS (SELECT 1 FROM classification WHERE classification.segment = segment.segment)
ORDER BY segment.position LIMIT :most;

-- name: unsettled
SELECT segment.* FROM classification JOIN segment USING (segment)
WHERE (classification.retain_until = 'undetermined' OR classification."case" IS NULL)
AND classification.sealed_at > :after ORDER BY classification.sealed_at LIMIT :most;

-- name: marked_again
-- Met again where they are marked as important, by what the ledger says since.
SELECT segment.*, entry.position AS marked_at
FROM entry CROSS JOIN segment ON segment.segment = json_extract(CAST(entry.bytes AS TEXT), '$.body.segment')
WHERE entry.position > :after AND entry.type = 'sighting'
AND json_type(CAST(entry.bytes AS TEXT), '$.body.important') = 'true' ORDER BY entry.position LIMIT :most;

-- name: side_files
-- What belongs to a segment was taken after it.
SELECT side.* FROM segment AS main JOIN segment AS side ON side.recorder = main.recorder
    AND side.recorder_seq > main.recorder_seq AND side.side_of = main.segment
WHERE main.segment = :segment ORDER BY side.recorder_seq;

-- name: undetermined
SELECT segment.* FROM classification INDEXED BY classification_undetermined JOIN segment USING (segment)
WHERE classification.retain_until = 'undetermined' AND classification.sealed_at > :after
ORDER BY classification.sealed_at LIMIT :most;

-- name: classification
SELECT classification.*, entry.ref FROM classification JOIN entry USING (position) WHERE segment = :segment;

-- name: without_derivative
SELECT segment.* FROM segment
WHERE segment.position > :after
AND (segment.container IS NOT NULL OR segment.unreadable LIKE 'not examined:%')
AND NOT EXISTS (SELECT 1 FROM retired WHERE retired.segment = segment.segment AND retired.store = 'vault')
AND NOT EXISTS (SELECT 1 FROM derivative WHERE derivative.segment = segment.segment AND derivative.kind = :kind)
AND NOT EXISTS (SELECT 1 FROM settled WHERE settled.segment = segment.segment AND settled.work = :work)
ORDER BY segment.important DESC, segment.position LIMIT :most;

-- name: last_derivative_position
SELECT coalesce(max(position), 0) AS position FROM derivative;

-- name: derivatives_not_beside
SELECT derivative.segment, derivative.kind, derivative.sha256, derivative.bytes FROM derivative
WHERE derivative.position > :after
AND EXISTS (SELECT 1 FROM replica WHERE replica.segment = derivative.segment AND replica.store = :store)
AND NOT EXISTS (SELECT 1 FROM settled WHERE settled.segment = derivative.segment
    AND settled.work = 'upload ' || derivative.kind)
ORDER BY derivative.position LIMIT :most;

-- name: derivatives
SELECT kind, sha256, bytes FROM derivative WHERE segment = :segment ORDER BY kind;

-- name: segments_of_case
SELECT segment.* FROM classification JOIN segment USING (segment) WHERE classification."case" = :case
ORDER BY segment.position;

-- name: segments_of_recorder
SELECT * FROM segment WHERE recorder = :recorder ORDER BY recorder_seq;

-- name: segments_sealed_before
-- The newest ones of a recorder that were sealed before a docking.
SELECT * FROM segment WHERE recorder = :recorder
AND position < (SELECT position FROM docking WHERE docking.docking = :docking)
ORDER BY recorder_seq DESC LIMIT :most;

-- name: last_docking_before
SELECT * FROM docking WHERE recorder = :recorder AND bay NOT GLOB 'intake-*'
    AND position < (SELECT position FROM docking AS this WHERE this.docking = :docking)
    AND EXISTS (SELECT 1 FROM document WHERE sha256 = inventory_sha256) ORDER BY position DESC LIMIT 1;

-- name: dockings_after
-- Later dockings of a docking's recorder, oldest first.
SELECT later.* FROM docking AS this JOIN docking AS later USING (recorder)
WHERE this.docking = :docking AND later.position > this.position ORDER BY later.position LIMIT :most;

-- name: dockings_cut_short
-- The newest dockings of a recorder that were cut short, or last.
SELECT * FROM docking WHERE recorder = :recorder AND (outcome IS NULL OR outcome = 'interrupted')
ORDER BY position DESC LIMIT :most;

-- name: found_segments
SELECT segment.*, found.path AS found_path FROM found JOIN segment USING (segment) WHERE found.docking = :docking;

-- name: anomalies_of_docking
SELECT entry.bytes FROM names CROSS JOIN anomaly USING (position) CROSS JOIN entry USING (position)
WHERE names.kind = 'docking' AND names.id = :docking AND anomaly.docking = :docking ORDER BY position;

-- name: cases_named
SELECT record FROM case_record WHERE "case" = :case ORDER BY id;

-- name: totals
SELECT segments, bytes, quarantined, reread, replicated, retired, undetermined, wiped, anomalies, dockings FROM total;

-- name: undocking_of
SELECT position FROM names JOIN entry USING (position) WHERE names.kind = 'docking' AND names.id = :docking
AND entry.type = 'undocking' ORDER BY position DESC LIMIT 1;

-- name: last_of_type
SELECT bytes FROM entry WHERE epoch = :epoch AND type = :type ORDER BY seq DESC LIMIT 1;

-- name: receipt_counts
SELECT (SELECT count(*) FROM found WHERE docking = :docking AND how = 'sealed') AS sealed,
    (SELECT count(*) FROM found WHERE docking = :docking AND how = 'sighted') AS sighted,
    (SELECT count(*) FROM clearance WHERE docking = :docking AND outcome = 'gone') AS wiped,
    (SELECT count(*) FROM names CROSS JOIN anomaly USING (position) WHERE names.kind = 'docking'
        AND names.id = :docking) AS findings;

-- name: docking_progress
SELECT count(*) AS accounted,
    (SELECT count(*) FROM found f JOIN replica r ON r.segment = f.segment AND r.store = 'vault'
        WHERE f.docking = :docking) AS reread,
    (SELECT count(*) FROM found f WHERE f.docking = :docking AND EXISTS (SELECT 1 FROM replica r
        WHERE r.segment = f.segment AND r.store <> 'vault')) AS replicated,
    (SELECT count(*) FROM clearance WHERE docking = :docking AND outcome = 'gone') AS wiped
FROM found WHERE docking = :docking;

-- name: lacking_proof
SELECT count(*) AS files FROM found JOIN segment USING (segment)
WHERE found.docking = :docking AND segment.sealed <= :before
AND NOT EXISTS (SELECT 1 FROM distrusted WHERE distrusted.docking = found.docking AND distrusted.path = found.path)
AND NOT EXISTS (SELECT 1 FROM retired WHERE retired.segment = found.segment AND retired.store = 'vault')
AND NOT EXISTS (SELECT 1 FROM settled WHERE settled.segment = found.segment AND settled.work LIKE 'replicate %')
AND NOT EXISTS (SELECT 1 FROM clearance WHERE clearance.docking = found.docking AND clearance.path = found.path
    AND clearance.outcome IS NOT NULL)
AND 3 > (SELECT count(*) FROM entry
    WHERE (entry.position = found.position OR entry.position IN (SELECT replica.position FROM replica
        WHERE replica.segment = found.segment AND replica.store IN ('vault', :store)))
    AND entry.seq < coalesce((SELECT size FROM head WHERE head.epoch = entry.epoch AND head.published = 1
        ORDER BY size DESC LIMIT 1), 0));

-- name: distrusted_in
-- A file that was sealed in quarantine has an anomaly as well; UNION gives each path once.
SELECT count(*) AS files FROM (
    SELECT json_extract(CAST(entry.bytes AS TEXT), '$.body.detail.path') AS path
        FROM names CROSS JOIN anomaly USING (position) CROSS JOIN entry USING (position)
        WHERE names.kind = 'docking' AND names.id = :docking AND anomaly.docking = :docking
        AND anomaly.kind IN ('second-reading-differs',
    'partly-unreadable', 'changed-since-interruption', 'gone-from-card')
    UNION
    SELECT path FROM distrusted WHERE docking = :docking);

-- name: found_at
SELECT path, segment, how FROM found WHERE docking = :docking AND path = :path;

-- name: anomalies_about
SELECT entry.bytes FROM names JOIN anomaly USING (position) JOIN entry USING (position)
WHERE names.kind = :kind AND names.id = :id AND anomaly.kind = coalesce(:anomaly, anomaly.kind) ORDER BY position;

-- name: all_segments
SELECT * FROM segment WHERE position > :after ORDER BY position LIMIT :most;

-- name: newest_anchor
-- One that states a time still to come is not cited: no entry must be later than what it cites.
SELECT sha256 FROM (SELECT position, sha256, moment FROM anchor ORDER BY position DESC LIMIT 16)
WHERE moment <= :now ORDER BY position DESC LIMIT 1;

-- name: anchor_by_digest
SELECT anchor.*, document.bytes FROM anchor JOIN document USING (sha256) WHERE anchor.sha256 = :sha256
ORDER BY position LIMIT 1;

-- name: anchors_at
SELECT anchor.*, document.bytes FROM anchor JOIN document USING (sha256)
WHERE origin = :origin AND size = :size AND position < :before ORDER BY position;

-- name: anchors_after
SELECT anchor.*, document.bytes FROM anchor JOIN document USING (sha256) WHERE position > :position
ORDER BY position LIMIT :most;

-- name: anchored_sizes
SELECT DISTINCT size FROM anchor WHERE origin = :origin AND size > :covering AND position < :before ORDER BY size;

-- name: largest_by
SELECT max(size) AS size FROM anchor WHERE origin = :origin AND name = :name;

-- name: expiring_anchor
SELECT anchor.*, document.bytes FROM anchor JOIN document USING (sha256) WHERE anchor.expires < :moment
AND (anchor.name = :name OR (:but IS NOT NULL AND anchor.name NOT IN (SELECT value FROM json_each(:but))))
AND NOT EXISTS (SELECT 1 FROM anchor AS later WHERE later.origin = anchor.origin AND later.size = anchor.size
    AND later.name = anchor.name AND later.renewal > anchor.renewal)
ORDER BY anchor.expires, position LIMIT 1;

-- name: signed_heads
-- What went on elsewhere is anchored there, or by nobody.
SELECT epoch, size FROM (SELECT number AS epoch, (SELECT size FROM head WHERE head.epoch = epoch.number
    AND note IS NOT NULL ORDER BY size DESC LIMIT 1) AS size FROM epoch WHERE closed < 2) WHERE size IS NOT NULL
ORDER BY epoch;

-- name: signed_head
SELECT head.epoch, epoch.origin, head.size, head.note FROM head JOIN epoch ON epoch.number = head.epoch
WHERE epoch.origin = :origin AND head.size = :size AND head.note IS NOT NULL;

-- name: last_round
SELECT max(coalesce((SELECT max(size) FROM anchoring WHERE epoch = :epoch), 0),
    coalesce((SELECT max(anchor.size) FROM anchor JOIN epoch USING (origin) WHERE epoch.number = :epoch), 0)) AS size;

-- name: anchor_news
SELECT min(seq) AS first, max(type IN ('undocking', 'close')) AS urgent FROM entry
WHERE epoch = :epoch AND seq >= :from AND seq < :end AND type NOT IN ('anchor', 'replica');

--------------------------------------------------------------------------------- documents and registers

-- name: add_document
INSERT INTO document (sha256, bytes) VALUES (:sha256, :bytes) ON CONFLICT (sha256) DO NOTHING;

-- name: document
SELECT bytes FROM document WHERE sha256 = :sha256;

-- name: add_reason
INSERT INTO reason_text (digest, salt, text) VALUES (:digest, :salt, :text);

-- name: reason
SELECT salt, text FROM reason_text WHERE digest = :digest;

-- name: add_case
INSERT INTO case_record ("case", record, source) VALUES (:case, :record, :source)
ON CONFLICT ("case", record) DO NOTHING;

-- name: cases_about
-- Texts of times are compared by their days: the caller leaves some for what their offsets may make.
SELECT record FROM (SELECT id, record FROM case_record WHERE json_extract(record, '$.recorder') = :recorder
    AND json_extract(record, '$.until') >= :since AND json_extract(record, '$.from') < :before
UNION ALL SELECT id, record FROM case_record WHERE json_extract(record, '$.recorder') IS NULL
    AND json_extract(record, '$.officer') = :officer
    AND json_extract(record, '$.until') >= :since AND json_extract(record, '$.from') < :before) ORDER BY id;

--------------------------------------------------------------------------------------------------- work

-- name: upload
SELECT upload_id FROM upload WHERE key = :key;

-- name: upload_parts
SELECT part, etag FROM upload_part WHERE key = :key;

-- name: begin_upload
INSERT OR REPLACE INTO upload (key, upload_id) VALUES (:key, :upload_id);

-- name: part_done
INSERT OR REPLACE INTO upload_part (key, part, etag) VALUES (:key, :part, :etag);

-- name: forget_upload
DELETE FROM upload WHERE key = :key;

-- name: settle
INSERT OR REPLACE INTO settled (segment, work, outcome) VALUES (:segment, :work, :outcome);

-- name: is_settled
SELECT 1 FROM settled WHERE segment = :segment AND work = :work;

-- name: mark
SELECT position FROM mark WHERE work = :work;

-- name: set_mark
INSERT INTO mark (work, position) VALUES (:work, :position) ON CONFLICT (work) DO UPDATE SET position = excluded.position;

-- name: tiles_published
SELECT size FROM tiles_published WHERE epoch = :epoch;

-- name: tiles_are_published
INSERT OR REPLACE INTO tiles_published (epoch, size) VALUES (:epoch, :size);

-- name: entries_after
SELECT position, bytes FROM entry WHERE position > :position ORDER BY position LIMIT :most;

-- name: outbox
SELECT position FROM outbox WHERE broker = :broker;

-- name: move_outbox
INSERT INTO outbox (broker, position) VALUES (:broker, :position)
ON CONFLICT (broker) DO UPDATE SET position = excluded.position;

-- name: begin_round
INSERT INTO anchoring (epoch, size) VALUES (:epoch, :size) ON CONFLICT (epoch, size) DO NOTHING;

-- name: give_rounds_up
DELETE FROM anchoring WHERE epoch = :epoch AND NOT EXISTS (SELECT 1 FROM anchor JOIN epoch USING (origin)
    WHERE epoch.number = anchoring.epoch AND anchor.size = anchoring.size);

-- name: forget_rounds
DELETE FROM anchoring WHERE (epoch, size) NOT IN (SELECT epoch, size FROM anchoring
    ORDER BY epoch DESC, size DESC LIMIT :most);

-- name: end_round
DELETE FROM anchoring WHERE epoch = :epoch AND size = :size;

-- name: rounds
SELECT anchoring.epoch, epoch.origin, anchoring.size, head.note FROM anchoring
JOIN epoch ON epoch.number = anchoring.epoch AND epoch.closed < 2
JOIN head ON head.epoch = anchoring.epoch AND head.size = anchoring.size AND head.note IS NOT NULL
ORDER BY anchoring.epoch, anchoring.size;

-- name: owed_round
-- A witness never goes back to a smaller size, and an authority is asked in order: what is smaller is not owed.
SELECT anchoring.epoch, epoch.origin, anchoring.size, head.note FROM anchoring
JOIN epoch ON epoch.number = anchoring.epoch AND epoch.closed < 2
JOIN head ON head.epoch = anchoring.epoch AND head.size = anchoring.size AND head.note IS NOT NULL
WHERE anchoring.size > coalesce((SELECT max(size) FROM anchor
    WHERE anchor.origin = epoch.origin AND anchor.name = :name), 0)
ORDER BY anchoring.epoch, anchoring.size LIMIT 1;

-- name: anchors_published
SELECT position FROM anchors_published WHERE store = :store;

-- name: anchors_are_published
INSERT OR REPLACE INTO anchors_published (store, position) VALUES (:store, :position);

---------------------------------------------------------------------------------------------- restored books

-- name: all_entries
SELECT position, ref, bytes FROM entry ORDER BY position;

-- name: unsigned
SELECT position, ref, bytes FROM entry WHERE epoch > :epoch OR (epoch = :epoch AND seq >= :first) ORDER BY position;

-- name: set_aside
INSERT INTO aside (position, epoch, seq, ref, bytes)
SELECT position, epoch.id, seq, ref, bytes FROM entry JOIN epoch ON epoch.number = entry.epoch
WHERE epoch.number > :epoch OR (epoch.number = :epoch AND seq >= :first);

-- name: drop_unsigned_heads
DELETE FROM head WHERE note IS NULL AND (epoch > :epoch OR (epoch = :epoch AND size > :first));

-- name: drop_unsigned
DELETE FROM entry WHERE epoch > :epoch OR (epoch = :epoch AND seq >= :first);

-- name: drop_nodes
DELETE FROM node WHERE epoch > :epoch OR (epoch = :epoch AND (idx + 1) << level > :first);

-- name: drop_tiles
DELETE FROM tiles_published WHERE epoch > :epoch;

-- name: drop_epochs
DELETE FROM epoch WHERE number > :epoch;

-- name: said_again
UPDATE aside SET again = :again WHERE position = :position;

-- name: add_recovered
INSERT INTO recovered (first, last) VALUES (:first, :last);

-- name: is_recovered
SELECT 1 FROM recovered WHERE first <= :position AND last >= :position;

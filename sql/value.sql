-- The type ydoc: text, binary and bytea forms, equality, bad input.
-- The updates are those of the real Yjs: "hello" typed by client 1, " world" after it, and so on.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set merged '''\\x020102008401040121020100040101740568656c6c6f8401040620776f726c640101010001''::bytea'
\set state '''\\x02010200840104012102010001010174018401000a656c6c6f20776f726c640101010001''::bytea'

SELECT ydoc();
SELECT ydoc(:hello);
SELECT (:hello)::ydoc::bytea = :hello AS same_bytes;
-- what Yjs merged, and what it encodes after having applied that, are one document
SELECT ydoc(:merged)::bytea = :state AS as_yjs_encodes_it;

-- equality is that of the encoded state
SELECT ydoc(:merged) = ydoc(:state) AS equal, ydoc(:hello) <> ydoc(:state) AS different;
SELECT ydoc_hash(ydoc(:merged)) = ydoc_hash(ydoc(:state)) AS one_hash,
       ydoc_hash_extended(ydoc(:state), 1) <> ydoc_hash_extended(ydoc(:state), 2) AS by_seed;
CREATE TEMPORARY TABLE notes (id integer, doc ydoc);
INSERT INTO notes VALUES (1, ydoc(:hello)), (2, ydoc(:hello)), (3, ydoc(:state)), (4, NULL);
SELECT count(*) FROM notes GROUP BY doc ORDER BY count(*);
SELECT count(*) FROM notes a JOIN notes b ON a.doc = b.doc;

-- text and binary forms go out and in
SELECT bool_and(doc::text::ydoc = doc) AS text_comes_back FROM notes;
SELECT ydoc_send(ydoc(:state)) = :state AS sent_as_update;

-- what cannot be decoded is refused, with its place
-- nothing at all
SELECT ydoc('\x'::bytea);
\echo :LAST_ERROR_SQLSTATE
-- the update ends too early
SELECT ydoc('\x0101010004010174056865'::bytea);
\echo :LAST_ERROR_SQLSTATE
-- a text of 900,000 bytes, three of which are there
SELECT ydoc('\x0101010004010174a0f736686969'::bytea);
\echo :LAST_ERROR_SQLSTATE
-- two billion structs in five bytes
SELECT ydoc('\x01ffffffff070100'::bytea);
\echo :LAST_ERROR_SQLSTATE
-- an integer beyond 2^53
SELECT ydoc('\x0101ffffffffffffffffff0100'::bytea);
\echo :LAST_ERROR_SQLSTATE
-- text that is not UTF-8
SELECT ydoc('\x010101000401017402c32800'::bytea);
\echo :LAST_ERROR_SQLSTATE
-- content that no Yjs knows
SELECT ydoc('\x010101001f01017400'::bytea);
\echo :LAST_ERROR_SQLSTATE
-- an item to the right of itself
SELECT ydoc('\x01010100840100016100'::bytea);
\echo :LAST_ERROR_SQLSTATE
-- no hexadecimal digits
SELECT '\xhello'::ydoc;
\echo :LAST_ERROR_SQLSTATE
SELECT '{"title": "content, not its bytes"}'::ydoc;

-- a stored value of another version, or none
CREATE FUNCTION pg_temp.stored_as(bytea) RETURNS ydoc LANGUAGE internal IMMUTABLE STRICT AS 'byteasend';
SELECT ydoc_text(pg_temp.stored_as('\x020000'), 't');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.stored_as('\x')::bytea;
\echo :LAST_ERROR_SQLSTATE


-- ---- accepting updates ----

CREATE FUNCTION ydoc.apply(document text, updates bytea[], actor text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_apply';
COMMENT ON FUNCTION ydoc.apply(text, bytea[], text) IS
    'Merges Yjs updates (V1) into a stored document, all or none, and returns its seq; listeners hear of it when the transaction commits';

CREATE FUNCTION ydoc.apply_batch(
    documents text[], updates bytea[], actors text[], known_epochs bigint[] DEFAULT '{}', sources text[] DEFAULT '{}',
    OUT ordinal integer, OUT epoch bigint, OUT seq bigint,
    OUT logged_from bigint, OUT logged bytea, OUT sqlstate text, OUT message text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 10000 ROWS 100
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_apply_batch';
COMMENT ON FUNCTION ydoc.apply_batch(text[], bytea[], text[], bigint[], text[]) IS
    'Merges update i into document i for actor i (actors NULL: nobody is named); answers each with the seq that holds it, or with SQLSTATE and message if it is refused; logged is the log row that an update closes, which holds the seqs from logged_from on; known_epochs are those at which the senders know the documents, so that no update meets another document of the same name; sources say from where each came (none: ydoc.source)';

CREATE FUNCTION ydoc.apply_batch_as(
    documents text[], updates bytea[], claims text[], known_epochs bigint[] DEFAULT '{}', sources text[] DEFAULT '{}',
    OUT ordinal integer, OUT epoch bigint, OUT seq bigint,
    OUT logged_from bigint, OUT logged bytea, OUT sqlstate text, OUT message text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 10000 ROWS 100
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_apply_batch_as';
COMMENT ON FUNCTION ydoc.apply_batch_as(text[], bytea[], text[], bigint[], text[]) IS
    'As ydoc.apply_batch, for users who show this (claims, as JSON, or what else ydoc.claims_of takes): whose level is below write is refused with 42501 (whose level is comment: unless all that is news in his update is under the document''s comment roots), and claim "sub" is the actor; with the rights of the caller, so it lets nobody do more than he may';
